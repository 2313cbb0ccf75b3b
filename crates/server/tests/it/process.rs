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
/// The configuration's, beside it.
const CONFIG: &str = "tenantry.toml";

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

/// `tenantry serve` with the configuration in `folder`, and where it listens.
fn spawn_serving(folder: &Path) -> (Child, String) {
    let mut child = tenantry()
        .args([Path::new("serve"), Path::new("--config")])
        .arg(folder.join(CONFIG))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let mut said = Vec::new();
    let line = loop {
        match lines.next() {
            Some(Ok(line)) if line.contains("\"listening\"") => break line,
            Some(Ok(line)) => said.push(line),
            Some(Err(_)) | None => panic!("it does not listen: {}", said.join("\n")),
        }
    };
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    // A pipe that nobody reads would stop the server.
    std::thread::spawn(move || lines.for_each(drop));
    let address = line["address"].as_str().expect("an address");
    (child, format!("http://{address}"))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client")
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (child, facts) = spawn(&folder.path().join(DATA));
        Self {
            child,
            facts,
            folder,
            client: client(),
        }
    }

    /// `tenantry serve` with the configuration in `folder`, of which everything but the address is known.
    fn serving(folder: TempDir, facts: Facts) -> Self {
        let (child, url) = spawn_serving(folder.path());
        Self {
            child,
            facts: Facts { url, ..facts },
            folder,
            client: client(),
        }
    }

    /// Another node of the same installation: its configuration is that of this one, its port, data folder, spool
    /// and anchor are its own. It knows the same residents.
    pub(crate) fn another(&self) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let own = |name: &str| toml::Value::from(folder.path().join(name).display().to_string());
        let text = std::fs::read_to_string(self.folder.path().join(CONFIG)).expect("a file");
        let mut config: toml::Table = text.parse().expect("TOML");
        config.insert("data".to_owned(), own(DATA));
        let audit = config.get_mut("audit").and_then(toml::Value::as_table_mut);
        let audit = audit.expect("a table");
        audit.insert("anchor".to_owned(), own("audit.anchor"));
        std::fs::write(folder.path().join(CONFIG), config.to_string()).expect("it is written");
        Self::serving(folder, self.facts.clone())
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

/// `tenantry serve` of a fresh installation, whose configuration goes on with `more`; it has one resident.
pub(crate) async fn serve(more: &str) -> Server {
    serve_of(&[], more).await
}

/// The same of an installation that `init` makes with the arguments `with`.
pub(crate) async fn serve_of(with: &[String], more: &str) -> Server {
    let folder = TempDir::new().expect("a temporary folder");
    let (file, data) = (folder.path().join(CONFIG), folder.path().join(DATA));
    let made = tenantry()
        .args(["init", "--listen", "127.0.0.1:0"])
        .args([Path::new("--config"), &file, Path::new("--data"), &data])
        .args(with)
        .output()
        .expect("the binary runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, format!("{text}\n{more}")).expect("it is written");
    let key = std::fs::read_to_string(data.join("secrets/bootstrap.key")).expect("a key");
    let mut server = Server::serving(
        folder,
        Facts {
            url: String::new(),
            tenants: Vec::new(),
            projects: Vec::new(),
            tokens: Vec::new(),
            bootstrap_key: key.trim().to_owned(),
        },
    );
    let body = serde_json::json!({
        "email": "ada@north.example", "password": "correct horse battery", "tenant_name": "North",
    });
    let signed_up = server
        .client
        .post(format!("{}/auth/signup", server.facts.url));
    let answer = signed_up.json(&body).send().await.expect("an answer");
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    let text = |at: &str| {
        answer
            .pointer(at)
            .and_then(|text| text.as_str())
            .expect(at)
            .to_owned()
    };
    server.facts.tenants.push(text("/tenant/id"));
    server.facts.projects.push(text("/project/id"));
    server.facts.tokens.push(text("/access_token"));
    server
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
