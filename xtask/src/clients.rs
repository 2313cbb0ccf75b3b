//! Stock OpenFeature clients, which tests run against the server: installed under `target/`
//! in fixed versions, from npm and PyPI.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{process::run, tools::install, workspace::metadata};

/// The folder under the target folder; the tests look there.
const FOLDER: &str = "clients";
const NPM_PACKAGES: [&str; 4] = [
    "@openfeature/core@1.12.0",
    "@openfeature/ofrep-core@0.1.4",
    "@openfeature/ofrep-provider@0.1.3",
    "@openfeature/server-sdk@1.23.0",
];
const PYPI_PACKAGES: [&str; 2] = [
    "openfeature-provider-ofrep==0.3.0",
    "openfeature-sdk==0.10.0",
];

/// Installs the clients unless they are there.
///
/// Where that is not possible it says so and goes on: the tests that need one fail by themselves.
pub(crate) fn ensure() {
    for (name, ensured) in [("JavaScript", javascript()), ("Python", python())] {
        if let Err(error) = ensured {
            eprintln!(
                "the {name} client of OpenFeature is not installed, so its test fails: {error:#}"
            );
        }
    }
}

fn folder() -> Result<PathBuf> {
    Ok(metadata()?
        .target_directory
        .into_std_path_buf()
        .join(FOLDER))
}

fn javascript() -> Result<()> {
    let folder = folder()?;
    let modules = folder.join("node_modules");
    let installed = NPM_PACKAGES
        .iter()
        .all(|package| is_installed(&modules, package));
    if installed && answers(Command::new("node").arg("--version")) {
        return Ok(());
    }
    if !answers(Command::new("npm").arg("--version")) {
        install(&["nodejs", "npm"])?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--prefix",
    ]);
    run(npm.arg(&folder).args(NPM_PACKAGES))
}

/// Whether `package`, `name@version`, is there in that version.
fn is_installed(modules: &Path, package: &str) -> bool {
    let Some((name, version)) = package.rsplit_once('@') else {
        return false;
    };
    let manifest = std::fs::read_to_string(modules.join(name).join("package.json"));
    manifest.is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
}

fn python() -> Result<()> {
    let folder = folder()?.join("python");
    let python = folder.join("bin/python3");
    let import = ["-c", "import openfeature.contrib.provider.ofrep"];
    if answers(Command::new(&python).args(import)) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    if run(&mut make).is_err() {
        install(&["python3-venv"])?;
        run(&mut make)?;
    }
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    run(pip.args(PYPI_PACKAGES))
}

fn answers(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
