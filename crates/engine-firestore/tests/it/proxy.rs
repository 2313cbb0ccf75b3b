//! A connection that can be held, slowed and cut: what networks do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What happens to the bytes of one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    hold_requests: bool,
    hold_answers: bool,
    /// The client's side is closed; the server does not know.
    cut: bool,
}

/// One connection through the proxy.
pub(crate) struct Wire {
    flow: watch::Sender<Flow>,
    answered: AtomicU64,
}

impl Wire {
    /// What the client sends from now on does not arrive.
    pub(crate) fn hold_requests(&self) {
        self.flow.send_modify(|flow| flow.hold_requests = true);
    }

    /// What the server answers from now on does not arrive.
    pub(crate) fn hold_answers(&self) {
        self.flow.send_modify(|flow| flow.hold_answers = true);
    }

    /// What was held arrives, as far as there is somebody.
    pub(crate) fn release(&self) {
        self.flow.send_modify(|flow| {
            (flow.hold_requests, flow.hold_answers) = (false, false);
        });
    }

    /// The client loses its connection; what it sent may still arrive.
    pub(crate) fn cut(&self) {
        self.flow.send_modify(|flow| flow.cut = true);
    }

    /// Waits until the server has sent something more than the first `bytes`.
    pub(crate) async fn answered_more_than(&self, bytes: u64) {
        while self.answered() <= bytes {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }
}

/// A way to a server, on a port of its own.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
    delay: Arc<Mutex<Duration>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wires, delay) = (Arc::<Mutex<Vec<Arc<Wire>>>>::default(), Arc::default());
        let (server, opened, delayed) = (server.to_owned(), Arc::clone(&wires), Arc::clone(&delay));
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // A server that is gone is a connection that ends.
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                let wire = Arc::new(Wire {
                    flow: watch::channel(Flow::default()).0,
                    answered: AtomicU64::new(0),
                });
                opened.lock().push(Arc::clone(&wire));
                carry(client, server, wire, Arc::clone(&delayed));
            }
        });
        Self {
            address,
            wires,
            delay,
            accepting,
        }
    }

    /// The connection that was made last.
    pub(crate) fn wire(&self) -> Arc<Wire> {
        Arc::clone(self.wires.lock().last().expect("somebody has connected"))
    }

    /// Cuts every connection that there is.
    pub(crate) fn cut_all(&self) {
        self.wires.lock().iter().for_each(|wire| wire.cut());
    }

    /// Answers come this much later from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        *self.delay.lock() = delay;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn carry(client: TcpStream, server: TcpStream, wire: Arc<Wire>, delay: Arc<Mutex<Duration>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(requests(from_client, to_server, wire.flow.subscribe()));
    tokio::spawn(answers(from_server, to_client, wire, delay));
}

/// Client to server, until the client is gone and what it sent has been let through.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) {
    let mut held = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut open = true;
    while open || !held.is_empty() {
        let now = *flow.borrow_and_update();
        open &= !now.cut;
        if !now.hold_requests && !held.is_empty() {
            if to.write_all(&held).await.is_err() {
                return;
            }
            held.clear();
            continue;
        }
        tokio::select! {
            read = from.read(&mut chunk), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(read) => held.extend_from_slice(&chunk[..read]),
            },
            changed = flow.changed() => if changed.is_err() {
                return;
            },
        }
    }
    // The server learns nothing of the end of the client: it is on the other side of a broken net.
    let _kept = (to, flow.wait_for(|_| false).await.is_ok());
}

/// Server to client; what comes when the client is cut off goes nowhere.
async fn answers(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    wire: Arc<Wire>,
    delay: Arc<Mutex<Duration>>,
) {
    let mut flow = wire.flow.subscribe();
    let mut to = Some(to);
    let mut held = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let now = *flow.borrow_and_update();
        if now.cut {
            to = None;
            held.clear();
        }
        if !now.hold_answers && !held.is_empty() {
            let wait = *delay.lock();
            tokio::time::sleep(wait).await;
            if let Some(client) = &mut to
                && client.write_all(&held).await.is_err()
            {
                to = None;
            }
            held.clear();
            continue;
        }
        tokio::select! {
            read = from.read(&mut chunk) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    wire.answered.fetch_add(read as u64, Ordering::SeqCst);
                    held.extend_from_slice(&chunk[..read]);
                }
            },
            changed = flow.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
