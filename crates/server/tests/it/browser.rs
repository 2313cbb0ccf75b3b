//! A headless Chromium, on a page of another origin, uploads and downloads as people do.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::outside::{Served, serve, sign_up};

/// Debian's package `chromium`; `cargo xtask test` installs it.
const CHROMIUM: &str = "/usr/bin/chromium";
const PAGE: &str = include_str!("upload.html");
/// How long a browser may take to start and to be done.
const DONE_MAX: Duration = Duration::from_secs(120);

struct Browser {
    process: Child,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Browser {
    fn open(url: &str) -> Self {
        assert!(
            Path::new(CHROMIUM).exists(),
            "this test needs {CHROMIUM}: run `cargo xtask test`, or apt-get install chromium"
        );
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(CHROMIUM)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-proxy-server",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        Self {
            process,
            _profile: profile,
        }
    }
}

/// One request as far as it matters here: its first line and its body.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        text.extend(&chunk[..read]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let length = name.eq_ignore_ascii_case("content-length");
            length.then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            let first = head.lines().next().unwrap_or_default().to_owned();
            return Some((first, body.to_owned()));
        }
    }
}

/// Serves the page, and hands on what it tells.
fn site(listener: TcpListener, page: String) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (tell, page) = (tell.clone(), page.clone());
            tokio::spawn(async move {
                let Some((first, body)) = request(&mut stream).await else {
                    return;
                };
                let answer = if first.starts_with("POST /result ") {
                    tell.send(serde_json::from_str(&body).unwrap()).await.ok();
                    String::new()
                } else {
                    page
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                let answer = format!("{head}{answer}");
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    told
}

/// What the page at `origin` tells, which calls `served` for its owner.
async fn told(
    served: &Served,
    owner: &crate::client::Caller,
    listener: TcpListener,
    url: &str,
) -> Value {
    let headers: serde_json::Map<String, Value> = owner
        .headers()
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let settings = json!({"api": served.url, "headers": headers}).to_string();
    let mut told = site(listener, PAGE.replace("SETTINGS", &settings));
    let _browser = Browser::open(url);
    let told = tokio::time::timeout(DONE_MAX, told.recv()).await;
    told.expect("the browser is done").expect("the page tells")
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_uploads_and_downloads() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let served = serve(&format!("[http]\nallowed_origins = [\"{origin}\"]\n")).await;
    let (owner, _) = sign_up(&served, "owner").await;
    let mut result = told(&served, &owner, listener, &origin).await;
    let disposition = result["disposition"].take();
    let disposition = disposition.as_str().unwrap();
    assert!(disposition.starts_with("attachment;"), "{disposition}");
    let expected = json!({
        "presigned": 201, "refused": true, "early": "object_missing", "sent": 201,
        "registered": 201, "filename": "Größe ✓.bin", "redirected": true,
        "disposition": null, "same": true,
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let allowed = format!("http://127.0.0.1:{port}");
    let served = serve(&format!("[http]\nallowed_origins = [\"{allowed}\"]\n")).await;
    let (owner, _) = sign_up(&served, "owner").await;
    // The same page by another name is of another origin.
    let url = format!("http://localhost:{port}");
    let result = told(&served, &owner, listener, &url).await;
    assert_eq!(result, json!({"error": "TypeError"}));
}
