//! Google's Firestore emulator for everything that a command runs: started once, because it is
//! a Java machine that takes seconds, and stopped with the command.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::process::root;

/// Where tests and benches look for one.
pub(crate) const HOST: &str = "FIRESTORE_EMULATOR_HOST";
/// Looks whether it listens, and the pause between two: a minute.
const LOOKS_MAX: usize = 3000;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// An emulator that serves while this value lives.
pub(crate) struct Emulator {
    /// Where it is, as [`HOST`] says it.
    pub(crate) host: String,
    script: Option<Child>,
}

/// The emulator that the environment names, or one of our own.
///
/// # Errors
/// When there is none; what to install is on standard error.
pub(crate) fn emulator() -> Result<Emulator> {
    if let Ok(host) = std::env::var(HOST) {
        return Ok(Emulator { host, script: None });
    }
    let free = TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let mut emulator = Emulator {
        host: address.to_string(),
        script: Some(spawn(address)?),
    };
    emulator.wait(address)?;
    Ok(emulator)
}

fn spawn(address: SocketAddr) -> Result<Child> {
    let script = root().join("crates/testkit/firestore-emulator.sh");
    let mut script = Command::new(script)
        .arg(address.port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the Firestore emulator")?;
    let output = script.stdout.take().context("its output is piped")?;
    let mut id = String::new();
    BufReader::new(output).read_line(&mut id)?;
    ensure!(!id.is_empty(), "there is no Firestore emulator: see above");
    Ok(script)
}

impl Emulator {
    fn wait(&mut self, address: SocketAddr) -> Result<()> {
        for _ in 0..LOOKS_MAX {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            thread::sleep(LOOK_PAUSE);
        }
        bail!("the Firestore emulator does not listen on {address}")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(script) = &mut self.script {
            // It kills the emulator when its standard input ends; nothing can be done if it fails.
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }
}
