//! A server's process of its own, on a free port and a temporary folder.
//!
//! [`Server::start`] and [`serve`] follow the profile of the suite ([`Backends::of_profile`]): `tenantry dev`, or
//! an installation of the profile `cloud` that has the same residents.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;
use tenantry_server::dev::ISSUER;

use crate::backends::Backends;

/// The data folder's name.
const DATA: &str = "data";
/// The configuration's, beside it.
const CONFIG: &str = "tenantry.toml";
/// Who signs up where `dev` has no residents of its own, and their tenants.
const PEOPLE: [(&str, &str); 2] = [
    ("ada@north.example", "North"),
    ("bob@south.example", "South"),
];

/// What `dev --json` prints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) tenants: Vec<String>,
    pub(crate) projects: Vec<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) bootstrap_key: String,
}

/// How a server is started.
#[derive(Clone, Copy)]
enum Start {
    Dev,
    Serve,
}

pub(crate) struct Server {
    child: Child,
    start: Start,
    pub(crate) facts: Facts,
    /// The data folder is in it, and what belongs beside a data folder.
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
    /// What it stands on, unless that is another's or the folder alone.
    backends: Option<Backends>,
}

/// The binary under test.
pub(crate) fn tenantry() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_remove("SYSTEM_BOOTSTRAP_KEY");
    command
}

impl Start {
    /// The command that starts a server on what is in `folder`.
    fn command(self, folder: &Path) -> Command {
        let mut command = tenantry();
        match self {
            Self::Dev => command
                .args(["dev", "--json", "--listen", "127.0.0.1:0", "--data"])
                .arg(folder.join(DATA)),
            Self::Serve => command.args(["serve", "--config"]).arg(folder.join(CONFIG)),
        };
        command.stdin(Stdio::null());
        command
    }
}

fn spawn(folder: &Path) -> (Child, Facts) {
    let mut child = Start::Dev
        .command(folder)
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

/// `tenantry serve` with the configuration in `folder` and more variables, and where it listens.
fn spawn_serving(folder: &Path, environment: &[(&str, &str)]) -> (Child, String) {
    let mut child = Start::Serve
        .command(folder)
        .envs(environment.iter().copied())
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

/// Runs `work` on a thread with a runtime of its own: who waits may be in one already.
fn apart<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(work)
    };
    let ended = std::thread::scope(|scope| scope.spawn(run).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Server {
    /// A server with two residents, on the profile of the suite.
    pub(crate) fn start() -> Self {
        let Some(backends) = Backends::of_profile() else {
            return Self::dev();
        };
        let mut args = backends.args();
        args.extend(["--issuer".to_owned(), ISSUER.to_owned()]);
        let mut server = apart(serve_for(&PEOPLE, &args, ""));
        server.backends = Some(backends);
        // Connections of the other belong to a runtime that has ended.
        server.client = client();
        server
    }

    /// `tenantry dev`, whatever the profile of the suite.
    pub(crate) fn dev() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (child, facts) = spawn(folder.path());
        Self {
            child,
            start: Start::Dev,
            facts,
            folder,
            client: client(),
            backends: None,
        }
    }

    /// `tenantry serve` with the configuration in `folder`, of which everything but the address is known.
    fn serving(folder: TempDir, facts: Facts, environment: &[(&str, &str)]) -> Self {
        let (child, url) = spawn_serving(folder.path(), environment);
        Self {
            child,
            start: Start::Serve,
            facts: Facts { url, ..facts },
            folder,
            client: client(),
            backends: None,
        }
    }

    /// Another node of the same installation: its configuration is that of this one, its port, data folder, spool
    /// and anchor are its own. It knows the same residents.
    pub(crate) fn another(&self) -> Self {
        self.another_under(&[])
    }

    /// The same with more variables of the environment.
    pub(crate) fn another_under(&self, environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let own = |name: &str| toml::Value::from(folder.path().join(name).display().to_string());
        let text = std::fs::read_to_string(self.folder.path().join(CONFIG)).expect("a file");
        let mut config: toml::Table = text.parse().expect("TOML");
        config.insert("data".to_owned(), own(DATA));
        let audit = config.get_mut("audit").and_then(toml::Value::as_table_mut);
        let audit = audit.expect("a table");
        audit.insert("anchor".to_owned(), own("audit.anchor"));
        std::fs::write(folder.path().join(CONFIG), config.to_string()).expect("it is written");
        Self::serving(folder, self.facts.clone(), environment)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// The backends that it has rows for.
    pub(crate) fn engines(&self) -> &'static [&'static str] {
        match self.backends {
            Some(_) => &["redis", "firestore", "s3"],
            None => &["embedded", "s3"],
        }
    }

    /// The command that starts another on the same data.
    pub(crate) fn command(&self) -> Command {
        self.start.command(self.folder.path())
    }

    /// Ends the process without warning and starts another on the same folder.
    pub(crate) fn kill_and_restart(&mut self) {
        self.replace_data(|_| ());
    }

    /// Ends the process without warning, does something to the data folder, and starts on it.
    pub(crate) fn replace_data(&mut self, replace: impl FnOnce(&Path)) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
        replace(&self.data());
        match self.start {
            Start::Dev => (self.child, self.facts) = spawn(self.folder.path()),
            Start::Serve => (self.child, self.facts.url) = spawn_serving(self.folder.path(), &[]),
        }
    }

    /// Ends it, puts a copy in the place of its store, and starts on it.
    pub(crate) fn restore(&mut self, copy: &Path) {
        self.replace_data(|data| {
            for name in ["tenantry.db", "tenantry.db-wal", "tenantry.db-shm"] {
                std::fs::remove_file(data.join(name)).ok();
            }
            std::fs::copy(copy, data.join("tenantry.db")).expect("the copy is put back");
        });
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

/// `tenantry serve` of a fresh installation on the profile of the suite, whose configuration goes on with `more`; it
/// has one resident.
pub(crate) async fn serve(more: &str) -> Server {
    let backends = Backends::of_profile();
    let args = backends.as_ref().map_or_else(Vec::new, Backends::args);
    let mut server = serve_of(&args, more).await;
    server.backends = backends;
    server
}

/// The same of an installation that `init` makes with the arguments `with`, whatever the profile.
pub(crate) async fn serve_of(with: &[String], more: &str) -> Server {
    serve_for(&PEOPLE[..1], with, more).await
}

/// An installation that `init` makes in `folder` with the arguments `with`; its configuration.
pub(crate) fn init(folder: &Path, with: &[String]) -> PathBuf {
    let file = folder.join(CONFIG);
    let made = tenantry()
        .args(["init", "--listen", "127.0.0.1:0"])
        .args([Path::new("--config"), &file])
        .args([Path::new("--data"), &folder.join(DATA)])
        .args(with)
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    file
}

async fn serve_for(people: &[(&str, &str)], with: &[String], more: &str) -> Server {
    let folder = TempDir::new().expect("a temporary folder");
    let file = init(folder.path(), with);
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, format!("{text}\n{more}")).expect("it is written");
    let key = folder.path().join(DATA).join("secrets/bootstrap.key");
    let key = std::fs::read_to_string(key).expect("a key");
    let facts = Facts {
        url: String::new(),
        tenants: Vec::new(),
        projects: Vec::new(),
        tokens: Vec::new(),
        bootstrap_key: key.trim().to_owned(),
    };
    let mut server = Server::serving(folder, facts, &[]);
    for (email, tenant) in people {
        server.sign_up(email, tenant).await;
    }
    server
}

impl Server {
    async fn sign_up(&mut self, email: &str, tenant: &str) {
        let body = serde_json::json!({
            "email": email, "password": "correct horse battery", "tenant_name": tenant,
        });
        let signed_up = self.client.post(format!("{}/auth/signup", self.facts.url));
        let answer = signed_up.json(&body).send().await.expect("an answer");
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        let text = |at: &str| {
            let text = answer.pointer(at).and_then(|text| text.as_str());
            text.unwrap_or_else(|| panic!("{at} in {answer}"))
                .to_owned()
        };
        self.facts.tenants.push(text("/tenant/id"));
        self.facts.projects.push(text("/project/id"));
        self.facts.tokens.push(text("/access_token"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
