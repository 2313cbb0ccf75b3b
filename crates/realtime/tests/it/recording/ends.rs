//! Why streams end.

use std::time::Duration;

use tenantry_realtime::RealtimeConfig;

use super::closing;
use crate::{
    app::App,
    rails::{CANVAS, CHAT, RAILS},
    stream::{Stream, TRANSPORTS},
    ws_client::RawWs,
};

/// Recheck and heartbeat soon enough for a test.
fn quick(config: &mut RealtimeConfig) {
    config.timings.recheck = Duration::from_millis(20);
    config.timings.heartbeat = Duration::from_millis(20);
}

/// How a stream comes to its end; other ends are in `idle` and `slow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Left,
    Removed,
    SessionEnded,
    TokenEnded,
    Drained,
}

impl Ends {
    async fn bring_about(self, app: &App) {
        match self {
            // Who follows the stream leaves.
            Self::Left => {}
            Self::Removed => app.world.directory.remove("t_a", "u_alice"),
            Self::SessionEnded => {
                let session = "se_u_alice".parse().unwrap();
                app.world.directory.end_session(&session);
            }
            Self::TokenEnded => app.world.clock.advance(Duration::from_secs(901)),
            Self::Drained => {
                let drained = app.realtime.drain(Duration::ZERO, Duration::ZERO);
                drained.await;
            }
        }
    }

    /// What the client is told, if anything, and the reason on record.
    const fn told_and_recorded(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Left => (None, "client"),
            Self::Removed => (Some("access_revoked"), "access_revoked"),
            Self::SessionEnded | Self::TokenEnded => (Some("token_ended"), "token_ended"),
            Self::Drained => (Some("drain"), "drained"),
        }
    }
}

#[tokio::test]
async fn every_end_of_a_stream_is_recorded_with_its_reason() {
    let all = [
        Ends::Left,
        Ends::Removed,
        Ends::SessionEnded,
        Ends::TokenEnded,
        Ends::Drained,
    ];
    let streams = RAILS
        .into_iter()
        .flat_map(|rail| TRANSPORTS.map(|transport| (rail, transport)));
    for ((rail, transport), ends) in streams.flat_map(|stream| all.map(|ends| (stream, ends))) {
        let app = App::on_with(rail, quick).await;
        let mut stream = Stream::open(transport, &app.alice().await, None).await;
        ends.bring_about(&app).await;
        let (told, reason) = ends.told_and_recorded();
        if let Some(told) = told {
            assert_eq!(stream.end().await, told, "{ends:?}");
        }
        drop(stream);
        app.closed(&closing(&rail, transport, reason)).await;
    }
}

#[tokio::test]
async fn a_socket_that_breaks_the_rules_is_recorded_so() {
    let text = |ws: RawWs, frame: &'static str, times: usize| async move {
        let mut ws = ws;
        for _ in 0..times {
            ws.frame(0x81, frame.as_bytes()).await;
        }
        ws.closed().await
    };
    let open = async |app: &App| {
        let request = app.alice().await.request("GET", &app.rail.ws());
        RawWs::open(request).await
    };
    for (frame, times, code, reason) in [
        ("{", 9, 4400, "protocol"),
        (r#"{"op":"resume","last_id":""}"#, 100, 4429, "throttled"),
    ] {
        let app = App::on(CANVAS).await;
        assert_eq!(text(open(&app).await, frame, times).await, code);
        app.closed(&closing(&CANVAS, "ws", reason)).await;
    }
    let app = App::with(|config| {
        quick(config);
        config.timings.silence = Duration::from_millis(60);
    })
    .await;
    assert_eq!(text(open(&app).await, "", 0).await, 1001);
    app.closed(&closing(&CHAT, "ws", "silent")).await;
    let app = App::new().await;
    let mut ws = open(&app).await;
    ws.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(ws.closed().await, 1000);
    app.closed(&closing(&CHAT, "ws", "client")).await;
}
