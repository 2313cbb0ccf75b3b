//! A real `redis-server`, for as long as a test needs it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::Signed;

/// Ports that are tried before a test gives up; others look for one at the same time.
const PORTS_TRIED_MAX: usize = 20;
/// What the server prints once it serves.
const READY: &str = "Ready to accept connections";

/// A server on a free loopback port, over a temporary folder; it ends with this value.
///
/// It keeps everything that it acknowledged: an append-only file, `appendfsync always`, no eviction.
pub struct RedisServer {
    folder: TempDir,
    /// Certificates, if it speaks TLS.
    tls: Option<TempDir>,
    port: u16,
    settings: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl RedisServer {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more settings, such as `["--appendonly", "no"]`.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_as(
            None,
            settings.iter().map(|text| (*text).to_owned()).collect(),
        )
    }

    /// Starts one that speaks TLS alone, as `identity`; clients whose certificate `authority` (in PEM)
    /// has signed are known by it, and `--tls-auth-clients yes` refuses others.
    #[must_use]
    pub fn start_tls(identity: &Signed, authority: &str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut all = vec!["--tls-auth-clients".to_owned(), "no".to_owned()];
        for (setting, text) in [
            ("--tls-cert-file", &*identity.certificate),
            ("--tls-key-file", &identity.key),
            ("--tls-ca-cert-file", authority),
        ] {
            let path = folder.path().join(format!("{}.pem", &setting[2..]));
            std::fs::write(&path, text).expect("the folder is written to");
            all.extend([setting.to_owned(), path.to_string_lossy().into_owned()]);
        }
        all.extend(settings.iter().map(|text| (*text).to_owned()));
        Self::start_as(Some(folder), all)
    }

    fn start_as(tls: Option<TempDir>, settings: Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let tried = (0..PORTS_TRIED_MAX).find_map(|_| {
            let port = free_port();
            Some((port, spawn(&folder, (port, tls.is_some()), &settings)?))
        });
        let (port, child) = tried.expect("a redis-server finds a free port");
        Self {
            folder,
            tls,
            port,
            settings,
            child: Mutex::new(Some(child)),
        }
    }

    /// Where it is, as `redis://127.0.0.1:PORT`, or `rediss` when it speaks TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the process at once, as a crash does.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            child.kill().expect("the server is ours");
            child.wait().expect("the server ends");
        }
    }

    /// Starts it again on the same port and the same data, after [`RedisServer::kill`].
    pub fn revive(&self) {
        let child = spawn(
            &self.folder,
            (self.port, self.tls.is_some()),
            &self.settings,
        );
        *self.child.lock() = Some(child.expect("the port is still free"));
    }

    /// Kills it and forgets its data.
    pub fn lose_everything(&self) {
        self.kill();
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder is there") {
            let path = entry.expect("its entries are read").path();
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            gone.expect("its entries can be removed");
        }
    }

    /// Stops the process without ending it: connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`RedisServer::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.lock().as_ref().map(Child::id);
        let id = id.expect("the server runs").to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("there is a kill").success(), "{signal} {id}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().take() {
            // A stopped process takes the signal as well; nothing can be done if it fails.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// Starts a server and waits until it serves; `None` when somebody took the port.
fn spawn(folder: &TempDir, (port, tls): (u16, bool), settings: &[String]) -> Option<Child> {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    match tls {
        true => command.args(["--port", "0", "--tls-port", &port]),
        false => command.args(["--port", &port]),
    };
    command
        .args(["--bind", "127.0.0.1"])
        .args(["--dir", &folder.path().to_string_lossy()])
        .args(["--save", "", "--daemonize", "no", "--logfile", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--maxmemory-policy", "noeviction"])
        .args(settings)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect(
        "redis-server runs: install it (Debian: apt-get install redis-server), or let `cargo xtask test` do so",
    );
    let output = child.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    if lines.any(|line| line.contains(READY)) {
        // The rest is read as well, because a full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    child.wait().expect("a server without output has ended");
    None
}
