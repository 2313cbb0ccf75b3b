//! What tests run around the server and Debian does not have: stock OpenFeature clients, and moto, whose Cognito signs
//! people in. Installed under `target/` in fixed versions, from npm and PyPI.

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
const PYTHON: Environment<2> = Environment {
    folder: "python",
    imports: "import openfeature.contrib.provider.ofrep",
    packages: [
        "openfeature-provider-ofrep==0.3.0",
        "openfeature-sdk==0.10.0",
    ],
};
/// A server of Cognito alone: what moto needs for the rest of AWS is left out.
const MOTO: Environment<3> = Environment {
    folder: "moto",
    imports: "import flask_cors, moto.cognitoidp.models, moto.server",
    packages: [
        "flask==3.1.3",
        "flask-cors==6.0.5",
        "moto[cognitoidp]==5.2.5",
    ],
};

/// A Python environment of its own.
struct Environment<const N: usize> {
    folder: &'static str,
    /// What works when everything is there.
    imports: &'static str,
    packages: [&'static str; N],
}

/// Installs them unless they are there.
///
/// Where that is not possible it says so and goes on: the tests that need one fail by themselves.
pub(crate) fn ensure() {
    for (name, ensured) in [
        ("the JavaScript client of OpenFeature", javascript()),
        ("the Python client of OpenFeature", PYTHON.ensure()),
        ("moto", MOTO.ensure()),
    ] {
        if let Err(error) = ensured {
            eprintln!("{name} is not installed, so its test fails: {error:#}");
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

impl<const N: usize> Environment<N> {
    fn ensure(&self) -> Result<()> {
        let folder = folder()?.join(self.folder);
        let python = folder.join("bin/python3");
        if answers(Command::new(&python).args(["-c", self.imports])) {
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
        run(pip.args(self.packages))
    }
}

fn answers(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
