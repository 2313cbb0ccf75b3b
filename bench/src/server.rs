//! The server under test: its release binary, as a process of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::wire::http::Connection;

/// How long a start may take, recovery of the last crash included.
const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A process that is killed when this is dropped, by its own id.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("{command:?}"))
    }

    /// Kills it (`SIGKILL`) and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.end()
    }

    /// The same, of a process in whose place another is put.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What it prints, if that was piped and nobody has it yet.
    ///
    /// # Errors
    /// When there is no such pipe.
    pub(crate) fn output(&mut self) -> Result<ChildStdout> {
        self.0.stdout.take().context("a process's output")
    }

    /// Whether it ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A member of one of the server's tenants.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) tenant: String,
    pub(crate) project: String,
    pub(crate) token: String,
}

impl Member {
    /// Credential and context, as header lines.
    pub(crate) fn headers(&self) -> String {
        format!(
            "authorization: Bearer {}\r\nx-tenant-id: {}\r\nx-env: dev\r\nx-project-id: {}\r\n",
            self.token, self.tenant, self.project
        )
    }

    /// A member of each tenant that the server tells of.
    fn of_each(facts: &Value) -> Result<Vec<Self>> {
        let tenants = facts.get("tenants").and_then(Value::as_array);
        let count = tenants.map_or(0, Vec::len);
        (0..count).map(|at| Self::of(facts, at)).collect()
    }

    fn of(facts: &Value, at: usize) -> Result<Self> {
        let text = |list: &str| {
            let text = facts.get(list).and_then(|list| list.get(at)?.as_str());
            text.map(str::to_owned)
                .with_context(|| format!("the server's facts have no {list}: {facts}"))
        };
        Ok(Self {
            tenant: text("tenants")?,
            project: text("projects")?,
            token: text("tokens")?,
        })
    }

    /// Signs somebody up, as the owner of a new tenant.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn sign_up(addr: SocketAddr, email: &str) -> Result<Self> {
        let body = json!({
            "email": email, "password": "a long enough password", "tenant_name": "Bench",
        });
        let mut connection = Connection::open(addr)?;
        let answer = connection.call("POST", "/auth/signup", "", &body.to_string())?;
        let made = answer.json(201)?;
        let text = |at: &str| {
            let text = made.pointer(at).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("no {at} in {made}"))
        };
        Ok(Self {
            tenant: text("/tenant/id")?,
            project: text("/project/id")?,
            token: text("/access_token")?,
        })
    }
}

/// `tenantry dev` or `tenantry serve`, running.
pub(crate) struct Server {
    running: Running,
    pub(crate) addr: SocketAddr,
    /// The first of the members.
    pub(crate) member: Member,
    /// One of each tenant.
    pub(crate) members: Vec<Member>,
}

impl Server {
    /// Starts the server on a free port over `data`, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, prints other facts than agreed, or is not ready in time.
    pub(crate) fn start(binary: &Path, data: &Path) -> Result<Self> {
        let addr = free_port()?;
        let mut command = command(binary, "dev", addr, data)?;
        command.arg("--json").stdout(Stdio::piped());
        let mut running = Running::start(&mut command)?;
        let facts = facts(running.output()?)
            .with_context(|| format!("see {}", data.with_extension("log").display()))?;
        let members = Member::of_each(&facts)?;
        let member = members.first().context("the server has tenants")?.clone();
        wait_ready(&mut running, addr)?;
        Ok(Self {
            running,
            addr,
            member,
            members,
        })
    }

    /// Starts a node on a free port as `config` says, with `data` as its own folder, and waits until it is
    /// ready. Its members are `member`, or somebody who signs up there.
    ///
    /// # Errors
    /// When it ends, is not ready in time, or refuses the sign-up.
    pub(crate) fn serve(
        binary: &Path,
        config: &Path,
        data: &Path,
        member: Option<Member>,
    ) -> Result<Self> {
        let addr = free_port()?;
        let mut command = command(binary, "serve", addr, data)?;
        command.arg("--config").arg(config).stdout(Stdio::null());
        let mut running = Running::start(&mut command)?;
        wait_ready(&mut running, addr)
            .with_context(|| format!("see {}", data.with_extension("log").display()))?;
        let sign_up = || Member::sign_up(addr, "bench@example.org");
        let member = member.map_or_else(sign_up, Ok)?;
        Ok(Self {
            running,
            addr,
            members: vec![member.clone()],
            member,
        })
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn kill(self) -> Result<()> {
        self.running.kill()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }
}

/// A way of running the server, whose log is beside `data`.
///
/// # Errors
/// When the folder or the log cannot be made.
pub(crate) fn command(binary: &Path, task: &str, addr: SocketAddr, data: &Path) -> Result<Command> {
    fs::create_dir_all(data)?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(data.with_extension("log"))?;
    let mut command = Command::new(binary);
    command.args([task, "--listen", &addr.to_string(), "--data"]);
    command.arg(data).stderr(log);
    Ok(command)
}

/// The line of facts; what follows is read and dropped, so that the server never blocks on it.
fn facts(output: ChildStdout) -> Result<Value> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line)?;
    thread::spawn(move || output.read_to_end(&mut Vec::new()));
    serde_json::from_str(&line).with_context(|| format!("the server printed no facts: {line:?}"))
}

/// Waits until a server is ready.
///
/// # Errors
/// When it ends, or is not ready in time.
pub(crate) fn wait_ready(running: &mut Running, addr: SocketAddr) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < START_MAX {
        if running.has_ended()? {
            bail!("the server ended while it started");
        }
        let ready = Connection::open(addr).and_then(|mut c| c.call("GET", "/readyz", "", ""));
        if ready.is_ok_and(|response| response.status == 200) {
            return Ok(());
        }
        thread::sleep(POLL);
    }
    bail!("the server was not ready within {START_MAX:?}")
}

/// A port of the loopback that nobody listens on now.
///
/// # Errors
/// When the system has none.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
