//! A dumb balancer: each connection goes to the next node, whatever that node is doing.
//!
//! No health checks, no retries, no stickiness: a client whose node is gone is cut off, and what it does then is
//! its own affair.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

/// How long a listener that could not accept is left alone, such as when there are no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A balancer that works until its runtime ends.
pub(super) struct Proxy {
    /// Where it listens.
    pub(super) addr: SocketAddr,
}

impl Proxy {
    /// Listens on a free port of the loopback, before `nodes`.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) fn start(runtime: &Handle, nodes: Vec<SocketAddr>) -> Result<Self> {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr()?;
        runtime.spawn(accept(listener, nodes.into()));
        Ok(Self { addr })
    }
}

async fn accept(listener: TcpListener, nodes: Arc<[SocketAddr]>) {
    for node in nodes.iter().copied().cycle() {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(join(client, node))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Carries bytes both ways until one side ends; that it does is no error.
async fn join(mut client: TcpStream, node: SocketAddr) {
    if let Ok(mut node) = TcpStream::connect(node).await {
        let _ = (client.set_nodelay(true), node.set_nodelay(true));
        let _ = copy_bidirectional(&mut client, &mut node).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn each_connection_goes_to_the_next_node_even_if_that_is_gone() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let nodes: Vec<TcpListener> = (0..2)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut addrs: Vec<_> = nodes.iter().map(|n| n.local_addr().unwrap()).collect();
        addrs.push(gone.local_addr().unwrap());
        drop(gone);
        let proxy = Proxy::start(runtime.handle(), addrs).unwrap();
        for _ in 0..2 {
            for node in &nodes {
                let mut client = TcpStream::connect(proxy.addr).unwrap();
                client.write_all(b"to").unwrap();
                let (mut accepted, _) = node.accept().unwrap();
                let mut read = [0; 2];
                accepted.read_exact(&mut read).unwrap();
                accepted.write_all(b"ro").unwrap();
                drop(accepted);
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!((&read, answer.as_str()), (b"to", "ro"));
            }
            let mut refused = TcpStream::connect(proxy.addr).unwrap();
            assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
        }
    }
}
