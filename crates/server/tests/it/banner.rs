//! What `dev` prints for people works when it is pasted.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::process::tenantry;

/// A `dev` that prints for people.
struct Dev {
    child: Child,
    folder: TempDir,
    printed: Vec<String>,
}

impl Dev {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = tenantry()
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut printed = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            printed.push(line.unwrap());
            if printed.last().unwrap().ends_with("/content") {
                break;
            }
        }
        Self {
            child,
            folder,
            printed,
        }
    }

    /// The lines under a comment and what follows, pasted into a shell; what it prints.
    fn paste_from(&self, comment: &str) -> String {
        let at = self
            .printed
            .iter()
            .position(|line| line.starts_with(comment));
        let at = at.unwrap_or_else(|| panic!("{comment} in {:#?}", self.printed));
        let pasted = Command::new("sh")
            .arg("-ec")
            .arg(self.printed[at..].join("\n"))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&pasted.stderr).into_owned();
        assert!(pasted.status.success() && said.is_empty(), "{said}");
        String::from_utf8(pasted.stdout).unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_file_is_uploaded_registered_and_read_back_as_printed() {
    let dev = Dev::start();
    let printed = dev.paste_from("# ask for a form");
    assert!(printed.contains("<PostResponse>"), "{printed}");
    assert!(printed.contains(r#""filename":"hello.txt""#), "{printed}");
    assert!(printed.ends_with("hello"), "{printed}");
    let again = dev.paste_from("# ask for a form");
    assert!(again.ends_with("hello"), "{again}");
}
