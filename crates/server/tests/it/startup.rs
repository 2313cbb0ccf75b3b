//! Starting: all that is missing at once, one process a folder, copies that open.

use std::{fs, path::Path, process::Output};

use serde_json::json;

use crate::{
    client::{Caller, Request, send},
    process::{Server, tenantry},
    streams::{post, thread},
};

fn run(args: &[&str]) -> Output {
    tenantry().args(args).output().expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn init(folder: &Path) -> String {
    let config = folder.join("tenantry.toml").display().to_string();
    let data = folder.join("data").display().to_string();
    let made = run(&["init", "--config", &config, "--data", &data]);
    assert!(made.status.success(), "{}", stderr(&made));
    config
}

#[test]
fn an_initialised_folder_checks_and_its_configuration_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path());
    let text = fs::read_to_string(&config).unwrap();
    let checked = tenantry()
        .env("SYSTEM_BOOTSTRAP_KEY", "a key of thirty-two characters!!")
        .args(["check", "--config", &config])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
    let again = run(&[
        "init",
        "--config",
        &config,
        "--data",
        &folder.path().join("data").display().to_string(),
    ]);
    assert!(!again.status.success());
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    assert!(
        !text.contains("secret = \"env"),
        "the signing key is a file"
    );
}

#[test]
fn a_start_that_cannot_succeed_names_everything_at_once_and_exits_with_78() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bare.toml");
    let data = folder.path().join("bare");
    let text = format!(
        "data = {data:?}\n[auth]\nissuer = \"https://a.example\"\naudience = \"a\"\nkeys = [{{ kid = \"k\", secret = \"file:/nowhere/key\", state = \"active\" }}]\n"
    );
    fs::write(&config, text).unwrap();
    for command in ["serve", "check"] {
        let refused = run(&[command, "--config", &config.display().to_string()]);
        assert_eq!(refused.status.code(), Some(78), "{}", stderr(&refused));
        let said = stderr(&refused);
        for missing in [
            "file:/nowhere/key",
            "[audit]",
            "audit_log",
            "env:SYSTEM_BOOTSTRAP_KEY",
            "chat_bus",
            "feature_flags",
            "realtime_registry",
            "rate_limit",
            "train_prefs",
        ] {
            assert!(said.contains(missing), "{missing} is not named in {said}");
        }
    }
}

#[test]
fn configuration_that_is_not_understood_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path());
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("retries = 3\n{text}")).unwrap();
    let refused = run(&["serve", "--config", &config]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("retries"), "{}", stderr(&refused));
}

#[tokio::test]
async fn a_second_process_on_a_folder_is_refused_and_the_first_goes_on() {
    let server = Server::start();
    let folder = server.data().display().to_string();
    let second = run(&["dev", "--data", &folder, "--listen", "127.0.0.1:0"]);
    assert!(!second.status.success());
    assert!(stderr(&second).contains(&folder), "{}", stderr(&second));
    let alive = send(
        &server,
        &Caller::default(),
        &Request::new("GET", "/healthz"),
    )
    .await;
    assert_eq!(alive.status, 200);
}

#[tokio::test]
async fn a_backup_of_a_served_folder_opens_with_a_new_epoch() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let ids = post(&server, &ada, "th_1", &["a", "b"]).await;
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("copy.db");
    let data = server.data().display().to_string();
    let made = run(&["backup", &file.display().to_string(), "--data", &data]);
    assert!(made.status.success(), "{}", stderr(&made));
    let again = run(&["backup", &file.display().to_string(), "--data", &data]);
    assert!(
        !again.status.success(),
        "an existing file is not overwritten"
    );

    // Restored: the keys beside it, the copy in the place of the store.
    server.restore(&file);
    let listed = send(
        &server,
        &ada,
        &Request::new("GET", "/chat/threads/th_1/messages"),
    )
    .await
    .json();
    let epoch = |id: &str| id.split('-').next().unwrap().to_owned();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_ne!(
        epoch(items[0]["id"].as_str().unwrap()),
        epoch(&ids[0]),
        "old cursors are recognised as such"
    );
    assert_eq!(items[1]["data"], json!({"text": "b"}));
}

#[test]
fn the_version_is_told() {
    let said = run(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&said.stdout).trim(),
        format!("tenantry {}", env!("CARGO_PKG_VERSION"))
    );
}
