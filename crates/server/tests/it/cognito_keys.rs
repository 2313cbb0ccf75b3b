//! A place of keys that says what it is told to, and counts who asks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What is sent of an answer without an end, at most, in bytes.
const ENDLESS_MAX: usize = 256 * 1024 * 1024;

/// What whoever asks is told.
#[derive(Clone)]
pub(crate) enum Answer {
    Document(String),
    Redirect(String),
    Endless,
}

/// It listens on a free port, for as long as the value is there.
pub(crate) struct Issuer {
    pub(crate) url: String,
    says: Arc<Says>,
    accepting: AbortHandle,
}

struct Says {
    answer: Mutex<Answer>,
    asked: AtomicU64,
    /// Bytes of answers without an end.
    sent: AtomicU64,
}

impl Issuer {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let says = Arc::new(Says {
            answer: Mutex::new(answer),
            asked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let told = Arc::clone(&says);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // Who goes before the end needs no more.
                let _: std::io::Result<()> = tell(client, &told).await;
            }
        });
        Self {
            url,
            says,
            accepting: accepting.abort_handle(),
        }
    }

    /// Says something else from now on; how often it was asked before.
    pub(crate) fn answers(&self, answer: Answer) -> u64 {
        *self.says.answer.lock() = answer;
        self.asked()
    }

    /// Bytes that were taken of answers without an end.
    pub(crate) fn sent(&self) -> u64 {
        self.says.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> u64 {
        self.says.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn tell(mut client: TcpStream, says: &Says) -> std::io::Result<()> {
    let (mut head, mut chunk) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read @ 1.. = client.read(&mut chunk).await? else {
            return Ok(());
        };
        head.extend_from_slice(&chunk[..read]);
    }
    let answer = says.answer.lock().clone();
    let close = "connection: close\r\n\r\n";
    let text = match &answer {
        Answer::Document(document) => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{close}{document}",
            document.len()
        ),
        Answer::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n{close}")
        }
        Answer::Endless => format!("HTTP/1.1 200 OK\r\n{close}"),
    };
    client.write_all(text.as_bytes()).await?;
    if let Answer::Endless = answer {
        let spaces = vec![b' '; 64 * 1024];
        for _ in 0..ENDLESS_MAX / spaces.len() {
            if client.write_all(&spaces).await.is_err() {
                break;
            }
            says.sent.fetch_add(spaces.len() as u64, Ordering::SeqCst);
        }
    }
    says.asked.fetch_add(1, Ordering::SeqCst);
    client.shutdown().await
}
