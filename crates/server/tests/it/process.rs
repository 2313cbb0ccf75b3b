//! A `tenantry dev` process of its own, on a free port and a temporary folder.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;

/// The data folder's name.
const DATA: &str = "data";

/// What `dev --json` prints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) tenants: Vec<String>,
    pub(crate) projects: Vec<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) bootstrap_key: String,
}

pub(crate) struct Server {
    child: Child,
    pub(crate) facts: Facts,
    /// The data folder is in it, and what belongs beside a data folder.
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
}

/// The binary under test.
pub(crate) fn tenantry() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_remove("SYSTEM_BOOTSTRAP_KEY");
    command
}

fn spawn(data: &Path) -> (Child, Facts) {
    let mut child = tenantry()
        .args(["dev", "--json", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("the server prints its facts");
    let facts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    (child, facts)
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (child, facts) = spawn(&folder.path().join(DATA));
        Self {
            child,
            facts,
            folder,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .build()
                .expect("a client"),
        }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// Ends the process without warning and starts another on the same folder.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
        (self.child, self.facts) = spawn(&self.data());
    }

    /// Ends the process without warning, does something to the data folder, and starts on it.
    pub(crate) fn replace_data(&mut self, replace: impl FnOnce(&Path)) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
        replace(&self.data());
        (self.child, self.facts) = spawn(&self.data());
    }

    /// Ends `old`, puts a copy in the place of its store, and starts on it.
    pub(crate) fn restore(old: Self, copy: &Path) -> Self {
        let mut server = old;
        server.child.kill().expect("SIGKILL");
        server.child.wait().expect("it is gone");
        for name in ["tenantry.db", "tenantry.db-wal", "tenantry.db-shm"] {
            std::fs::remove_file(server.data().join(name)).ok();
        }
        std::fs::copy(copy, server.data().join("tenantry.db")).expect("the copy is put back");
        (server.child, server.facts) = spawn(&server.data());
        server
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the process to end by itself; its exit code.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<i32> {
        let deadline = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server did not end within {within:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
