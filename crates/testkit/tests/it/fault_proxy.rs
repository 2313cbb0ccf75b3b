//! What a network does to connections when told to.

use std::{net::SocketAddr, time::Duration};

use tenantry_testkit::{FaultProxy, Way};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A backend that says everything twice.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut chunk = [0; 64];
                while let Ok(read @ 1..) = client.read(&mut chunk).await {
                    let twice = [&chunk[..read], &chunk[..read]].concat();
                    if client.write_all(&twice).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Says it and hears it twice; `None` when the connection ended, however it did.
async fn say(connection: &mut TcpStream, text: &str) -> Option<String> {
    connection.write_all(text.as_bytes()).await.ok()?;
    hear(connection, 2 * text.len()).await
}

async fn hear(connection: &mut TcpStream, bytes: usize) -> Option<String> {
    let mut heard = vec![0; bytes];
    let read = tokio::time::timeout(Duration::from_secs(60), connection.read_exact(&mut heard));
    read.await.expect("an answer, or an end").ok()?;
    String::from_utf8(heard).ok()
}

#[tokio::test]
async fn an_open_way_passes_everything_and_a_cut_one_nothing() {
    let proxy = FaultProxy::to(echo().await).await;
    let mut connection = connect(&proxy).await;
    assert_eq!(say(&mut connection, "ab").await.as_deref(), Some("abab"));
    proxy.set(Way::Cut);
    let ended = connection.read_u8().await.unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(say(&mut connect(&proxy).await, "ab").await, None);
    proxy.set(Way::Open);
    let said = say(&mut connect(&proxy).await, "ab").await;
    assert_eq!(said.as_deref(), Some("abab"));
}

#[tokio::test]
async fn what_was_said_into_silence_arrives_when_it_ends() {
    let proxy = FaultProxy::to(echo().await).await;
    let mut connection = connect(&proxy).await;
    say(&mut connection, "first").await.unwrap();
    proxy.set(Way::Silent);
    connection.write_all(b"ab").await.unwrap();
    let mut late = connect(&proxy).await;
    late.write_all(b"c").await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(300), connection.read_u8());
    assert!(silence.await.is_err());
    proxy.set(Way::Open);
    assert_eq!(hear(&mut connection, 4).await.as_deref(), Some("abab"));
    assert_eq!(hear(&mut late, 2).await.as_deref(), Some("cc"));
}

#[tokio::test]
async fn half_an_answer_is_all_that_comes() {
    let proxy = FaultProxy::to(echo().await).await;
    proxy.set(Way::Half(5));
    let mut connection = connect(&proxy).await;
    assert_eq!(say(&mut connection, "ab").await.as_deref(), Some("abab"));
    connection.write_all(b"cdef").await.unwrap();
    let heard = hear(&mut connection, 5).await;
    assert_eq!(heard.as_deref(), Some("cdefc"));
    let ended = connection.read_u8().await.unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_broken_store_answers_503_by_itself() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let proxy = FaultProxy::to(nobody).await;
    proxy.set(Way::Unavailable);
    let mut connection = connect(&proxy).await;
    let request = b"PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    connection.write_all(request).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn one_process_is_cut_off_and_others_are_not() {
    let proxy = FaultProxy::to(echo().await).await;
    let mut connection = connect(&proxy).await;
    let mut another = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    proxy.set_for(another.id(), Way::Cut);
    assert_eq!(say(&mut connection, "ab").await.as_deref(), Some("abab"));
    another.kill().unwrap();
    another.wait().unwrap();
    proxy.set_for(std::process::id(), Way::Cut);
    assert_eq!(say(&mut connection, "ab").await, None);
    proxy.set(Way::Open);
    let said = say(&mut connect(&proxy).await, "ab").await;
    assert_eq!(said.as_deref(), Some("abab"));
}
