//! Frames that no honest client sends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    app::App,
    rails::{CANVAS, RAILS},
    ws_client::RawWs,
};

async fn raw(app: &App) -> RawWs {
    let alice = app.alice().await;
    RawWs::open(alice.request("GET", &app.rail.ws())).await
}

const TEXT: u8 = 0x81;
const FIRST: u8 = 0x01;
const NEXT: u8 = 0x00;
const LAST: u8 = 0x80;

/// A name, and frames: first byte and payload.
type Attack<'a> = (&'static str, Vec<(u8, &'a [u8])>);

#[tokio::test]
async fn forbidden_frames_close_with_4400() {
    let app = App::new().await;
    let big = vec![b' '; 64 * 1024 + 1];
    let attacks: [Attack<'_>; 9] = [
        ("binary", vec![(0x82, b"{}")]),
        ("fragmented binary", vec![(0x02, b"{}"), (LAST, b"")]),
        ("invalid UTF-8", vec![(TEXT, &[0xff, 0xfe])]),
        ("oversized", vec![(TEXT, &big)]),
        (
            "too large in fragments",
            vec![(FIRST, &big[..40_000]), (LAST, &big[..40_000])],
        ),
        ("a continuation of nothing", vec![(LAST, b"{}")]),
        ("reserved bits", vec![(0xc1, b"{}")]),
        ("an unknown opcode", vec![(0x83, b"{}")]),
        ("a fragmented ping", vec![(0x09, b"")]),
    ];
    for (name, frames) in attacks {
        let mut ws = raw(&app).await;
        for (first, payload) in frames {
            ws.frame(first, payload).await;
        }
        assert_eq!(ws.closed().await, 4400, "{name}");
        assert_eq!(ws.read().await, None, "{name}");
    }
}

#[tokio::test]
async fn an_oversized_frame_is_refused_by_its_header() {
    let app = App::new().await;
    let mut ws = raw(&app).await;
    // A whole exbibyte is announced and nothing of it is sent.
    ws.write(&[TEXT, 0xff, 0x10, 0, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(ws.closed().await, 4400);
    let mut ws = raw(&app).await;
    ws.write(&[TEXT, 2, b'{', b'}']).await;
    assert_eq!(ws.closed().await, 4400, "unmasked");
}

#[tokio::test]
async fn fragments_and_the_largest_frame_are_taken() {
    let app = App::new().await;
    let mut ws = raw(&app).await;
    let (first, rest) = br#"{"op":"ping"}"#.split_at(5);
    ws.frame(FIRST, first).await;
    ws.frame(0x89, b"between").await;
    ws.frame(NEXT, b"").await;
    ws.frame(LAST, rest).await;
    assert_eq!(ws.read().await.unwrap().0, TEXT, "ready");
    assert_eq!(ws.read().await.unwrap(), (0x8a, b"between".to_vec()));
    assert_eq!(
        ws.read().await.unwrap(),
        (TEXT, br#"{"op":"pong"}"#.to_vec())
    );
    let mut largest = br#"{"op":"ping"}"#.to_vec();
    largest.resize(64 * 1024, b' ');
    ws.frame(TEXT, &largest).await;
    assert_eq!(
        ws.read().await.unwrap(),
        (TEXT, br#"{"op":"pong"}"#.to_vec())
    );
    // Byte by byte it is the same.
    for byte in [&[TEXT, 0x80 | 13, 0, 0, 0, 0], &br#"{"op":"ping"}"#[..]].concat() {
        ws.write(&[byte]).await;
    }
    assert_eq!(
        ws.read().await.unwrap(),
        (TEXT, br#"{"op":"pong"}"#.to_vec())
    );
    ws.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(ws.closed().await, 1000);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_then_closed() {
    let app = App::new().await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    let bad = [
        "{",
        "[]",
        r#"{"op":"nonsense"}"#,
        r#"{"op":"gesture","kind":"pointer","data":1}"#,
        r#"{"op":"publish","data":1,"tenant_id":"t_b"}"#,
        "1",
        "null",
        r#"{"op":"resume"}"#,
    ];
    for text in bad {
        ws.send_text(text).await;
        assert_eq!(
            ws.op("error").await["problem"]["code"],
            "body_invalid",
            "{text}"
        );
    }
    ws.send_text("{").await;
    assert_eq!(ws.closed().await, 4400);
}

#[tokio::test]
async fn a_wrong_message_is_refused_and_the_socket_stays() {
    for rail in RAILS {
        let app = App::on(rail).await;
        wrong_messages(&app).await;
    }
}

async fn wrong_messages(app: &App) {
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for (message, code) in [
        (json!({"data": 1, "type": "Big"}), "validation_failed"),
        (json!({"data": 1, "idempotency_key": ""}), "header_invalid"),
        (json!({"data": "x".repeat(63 * 1024)}), "body_too_large"),
    ] {
        let mut frame = message;
        frame["op"] = Value::from("publish");
        frame["ref"] = Value::from("r");
        ws.send(frame).await;
        let refused = ws.op("error").await;
        assert_eq!(
            (&refused["ref"], &refused["problem"]["code"]),
            (&json!("r"), &json!(code))
        );
    }
    assert_eq!(ws.publish("x", json!(1)).await["op"], "ack");
}

#[tokio::test]
async fn ten_thousand_resumes_are_cut_short() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let first = alice.say("1").await;
    alice.say("2").await;
    let mut ws = RawWs::open(alice.request("GET", &app.rail.ws())).await;
    let resume = json!({"op": "resume", "last_id": first}).to_string();
    for _ in 0..10_000 {
        ws.frame(TEXT, resume.as_bytes()).await;
    }
    assert_eq!(ws.closed().await, 4429);
}

#[tokio::test]
async fn a_silent_socket_is_pinged_then_closed() {
    let app = App::with(|config| {
        config.timings.heartbeat = Duration::from_millis(30);
        config.timings.silence = Duration::from_millis(90);
    })
    .await;
    let mut ws = raw(&app).await;
    assert_eq!(ws.read().await.unwrap().0, TEXT, "ready");
    for _ in 0..3 {
        assert_eq!(ws.read_any().await.unwrap().0, 0x89);
    }
    assert_eq!(ws.closed().await, 1001);
}
