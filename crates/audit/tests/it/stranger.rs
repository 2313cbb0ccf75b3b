//! Verifiers of other hands, run over what this crate makes: Go's own, and `docs/verify_audit.py`.
//!
//! **Invariant:** a tool that is missing fails the test and says how to get it; nothing is skipped.

use std::{
    ffi::OsStr,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Where Debian puts the sources of Go packages.
const GO_PATH: &str = "/usr/share/gocode";
/// Debian's Python, for which Debian's packages are; and whichever comes first on the path.
const PYTHONS: [&str; 2] = ["/usr/bin/python3", "python3"];

/// The program in `tests/go`, built. `CARGO_TARGET_TMPDIR` keeps what Go compiled.
pub(crate) fn go() -> Command {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = scratch.join(format!("go-{}", std::process::id()));
    let mut build = Command::new("go");
    build.args([OsStr::new("build"), "-o".as_ref(), program.as_ref()]);
    build
        .arg("main.go")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/go"))
        .env("GOCACHE", scratch.join("go-cache"))
        .envs([("GOPATH", GO_PATH), ("GO111MODULE", "off")])
        .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOPROXY", "off")]);
    let built = build.output().unwrap_or_else(|error| {
        panic!("cannot start go: {error}; `cargo xtask test` installs it: apt-get install golang-go golang-golang-x-mod-dev")
    });
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "tests/go does not build: {said}\nIt takes golang.org/x/mod from {GO_PATH}; `cargo xtask test` installs it: apt-get install golang-golang-x-mod-dev"
    );
    Command::new(program)
}

/// A Python that has the package `cryptography`.
pub(crate) fn python() -> Command {
    let fits = |python: &&&str| {
        let mut probe = Command::new(python);
        probe.args(["-I", "-c", "import cryptography"]);
        probe.output().is_ok_and(|output| output.status.success())
    };
    let found = PYTHONS.iter().find(fits).unwrap_or_else(|| {
        panic!("no Python has `cryptography`; `cargo xtask test` installs it: apt-get install python3-cryptography")
    });
    let mut python = Command::new(found);
    python.args(["-I", "-B"]);
    python
}

/// Gives `input` to a verifier; what it printed. It must end with success.
pub(crate) fn accepts(verifier: &mut Command, input: &[u8]) -> String {
    let output = feed(verifier, input);
    let (printed, said) = (output.stdout, output.stderr);
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success(),
        "{}: {printed}{said}",
        output.status
    );
    printed
}

fn feed(verifier: &mut Command, input: &[u8]) -> Output {
    let mut child = verifier
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the verifier starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A verifier that has found a fault reads no further; its exit code says so.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("the verifier ends")
}
