//! Google's Firestore emulator, for as long as a test needs it.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use parking_lot::Mutex;

/// Finds the emulator and runs it until its standard input ends.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/firestore-emulator.sh");
/// Looks whether it listens, and the pause between two: two minutes, where two seconds are usual.
const LOOKS_MAX: usize = 6000;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// An emulator on a free loopback port, in memory; it ends with this value, or with the process.
pub struct FirestoreEmulator {
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

struct Running {
    script: Child,
    emulator: String,
}

impl FirestoreEmulator {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed; what to install is on standard error.
    #[must_use]
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = free.local_addr().expect("it has an address");
        drop(free);
        Self {
            address,
            running: Mutex::new(Some(Running::at(address))),
        }
    }

    /// Where it is, as `FIRESTORE_EMULATOR_HOST` says it: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends the process at once, as a crash does, and with it everything it held.
    pub fn kill(&self) {
        *self.running.lock() = None;
    }

    /// Starts it again on the same port, empty, after [`FirestoreEmulator::kill`].
    pub fn revive(&self) {
        *self.running.lock() = Some(Running::at(self.address));
    }

    /// Stops the process without ending it: connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`FirestoreEmulator::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let running = self.running.lock();
        let id = &running.as_ref().expect("the emulator runs").emulator;
        let sent = Command::new("kill").args([signal, id]).status();
        assert!(sent.expect("there is a kill").success(), "{signal} {id}");
    }
}

impl Running {
    fn at(address: SocketAddr) -> Self {
        let mut script = Command::new(SCRIPT)
            .arg(address.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell runs");
        let output = script.stdout.take().expect("its output is piped");
        let mut emulator = String::new();
        BufReader::new(output)
            .read_line(&mut emulator)
            .expect("its output is text");
        assert!(!emulator.is_empty(), "there is no emulator: see above");
        let running = Self {
            script,
            emulator: emulator.trim().to_owned(),
        };
        running.wait(address);
        running
    }

    fn wait(&self, address: SocketAddr) {
        let listens = (0..LOOKS_MAX).any(|_| {
            let alive = Command::new("kill").args(["-0", &self.emulator]).status();
            assert!(
                alive.is_ok_and(|alive| alive.success()),
                "the emulator ended"
            );
            thread::sleep(LOOK_PAUSE);
            TcpStream::connect(address).is_ok()
        });
        assert!(listens, "the emulator does not listen on {address}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The script kills the emulator when its standard input ends; nothing can be done if it fails.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
