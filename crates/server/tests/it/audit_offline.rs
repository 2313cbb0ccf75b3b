//! What is taken away from a real server: exports and receipts that `tenantry audit verify` checks alone, OCSF events.

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Caller, Request, send},
    process::{Server, tenantry},
};

/// A folder with files that somebody took away from a server.
struct Taken {
    folder: TempDir,
}

impl Taken {
    /// With the trust file for the server's key.
    fn from(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = server.data().join("secrets/audit-signing.key");
        let made = tenantry()
            .args(["audit", "trust", &format!("file:{}", key.display())])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        fs::write(folder.path().join("trust.json"), made.stdout).unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keep(&self, name: &str, content: &str) {
        fs::write(self.file(name), content).unwrap();
    }

    /// The trust file is the one of that name in the folder, which is the default.
    fn verify(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = tenantry();
        command.current_dir(self.folder.path());
        let output = command.args(["audit", "verify"]).args(args).output();
        let output = output.unwrap();
        (output.status.code(), said(&output))
    }
}

fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(all).unwrap()
}

async fn text(server: &Server, caller: &Caller, request: Request) -> String {
    let reply = send(server, caller, &request).await;
    assert!(reply.status < 300, "{}", reply.visible());
    reply.text
}

/// Makes threads of these names; the seq of the last one, which a checkpoint then covers.
async fn threads(server: &Server, ada: &Caller, names: &[&str]) -> u64 {
    let mut last = 0;
    for name in names {
        let body = json!({"thread_id": name});
        let made = Request::new("POST", "/chat/threads").json(&body);
        let reply = send(server, ada, &made).await;
        last = reply.header("x-audit-seq").unwrap().parse().unwrap();
    }
    receipt(server, ada, last).await;
    last
}

async fn receipt(server: &Server, ada: &Caller, seq: u64) -> String {
    let path = format!("/audit/events/{seq}/receipt");
    text(server, ada, Request::new("GET", path)).await
}

async fn export(server: &Server, ada: &Caller, body: &Value) -> String {
    let request = Request::new("POST", "/audit/export").json(body);
    text(server, ada, request).await
}

async fn checkpoint(server: &Server) -> String {
    let request = Request::new("GET", "/audit/checkpoint");
    text(server, &Caller::default(), request).await
}

#[tokio::test]
async fn an_export_and_a_receipt_verify_and_tampered_ones_are_refused() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let last = threads(&server, &ada, &["th_1", "th_2", "th_3"]).await;
    let taken = Taken::from(&server);
    let whole = export(&server, &ada, &json!({})).await;
    taken.keep("audit.jsonl", &whole);
    taken.keep("receipt.json", &receipt(&server, &ada, last).await);

    let (code, said) = taken.verify(&["audit.jsonl"]);
    assert_eq!(code, Some(0), "{said}");
    let tenant = &server.facts.tenants[0];
    let begin = format!("verified: records 1 to {last} of the log of {tenant} in dev, all of");
    assert!(said.starts_with(&begin), "{said}");
    let (code, said) = taken.verify(&["receipt.json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with(&format!("verified: record {last} of")),
        "{said}"
    );

    let of_record = format!("{{\"kind\":\"record\",\"seq\":{last},");
    let without: Vec<&str> = whole
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(&of_record))
        .collect();
    taken.keep("deleted.jsonl", &without.concat());
    taken.keep(
        "altered.jsonl",
        &whole.replace("\\\"done\\\"", "\\\"unknown\\\""),
    );
    taken.keep("cut.jsonl", &whole[..whole.len() - 40]);
    for (file, names) in [
        ("deleted.jsonl", format!("record {last}: it is missing")),
        (
            "altered.jsonl",
            "it was altered, or is not in the log".to_owned(),
        ),
        ("cut.jsonl", format!("after record {last}: ")),
        ("absent.jsonl", "No such file".to_owned()),
    ] {
        let (code, said) = taken.verify(&[file]);
        assert_eq!(code, Some(1), "{said}");
        let begin = format!("tenantry: REFUSED {file}: ");
        assert!(said.starts_with(&begin) && said.contains(&names), "{said}");
    }
}

#[tokio::test]
async fn an_earlier_checkpoint_is_continued_or_refused() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    threads(&server, &ada, &["th_1"]).await;
    let taken = Taken::from(&server);
    taken.keep("old.jsonl", &export(&server, &ada, &json!({})).await);
    let early = checkpoint(&server).await;
    let size: u64 = early.lines().nth(1).unwrap().parse().unwrap();
    taken.keep("early.txt", &early);

    threads(&server, &ada, &["th_2"]).await;
    taken.keep("late.txt", &checkpoint(&server).await);
    taken.keep("new.jsonl", &export(&server, &ada, &json!({})).await);
    let continuing = export(&server, &ada, &json!({"since": size})).await;
    taken.keep("continuing.jsonl", &continuing);

    let (code, said) = taken.verify(&["--since", "early.txt", "continuing.jsonl"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("continues the one that was given"), "{said}");
    for (since, file, names) in [
        (
            "early.txt",
            "new.jsonl",
            "nothing shows that its checkpoint continues",
        ),
        ("late.txt", "old.jsonl", "an old one is replayed"),
    ] {
        let (code, said) = taken.verify(&["--since", since, file]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("REFUSED") && said.contains(names), "{said}");
    }
}

#[test]
fn only_the_keys_of_the_trust_file_are_believed() {
    let (server, stranger) = (Server::start(), Server::start());
    let taken = Taken::from(&server);
    taken.keep(
        "theirs.json",
        &fs::read_to_string(Taken::from(&stranger).file("trust.json")).unwrap(),
    );
    let ours = fs::read_to_string(taken.file("trust.json")).unwrap();
    assert_ne!(ours, fs::read_to_string(taken.file("theirs.json")).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let whole = runtime.block_on(async {
        let ada = Caller::resident(&server, 0);
        threads(&server, &ada, &["th_1"]).await;
        export(&server, &ada, &json!({})).await
    });
    taken.keep("audit.jsonl", &whole);
    let (code, said) = taken.verify(&["--trust", "theirs.json", "audit.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("the checkpoint: "), "{said}");
    let (code, said) = taken.verify(&["--trust", "absent.json", "audit.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("absent.json"), "{said}");
}

#[tokio::test]
async fn an_export_as_ocsf_has_an_event_for_each_record() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let last = threads(&server, &ada, &["th_1", "th_2"]).await;
    let body = json!({"format": "ocsf", "from": 2, "to": last});
    let lines = export(&server, &ada, &body).await;
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let sequences: Vec<u64> = events
        .iter()
        .map(|event| event["metadata"]["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, (2..=last).collect::<Vec<u64>>());
    for event in &events {
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["metadata"]["tenant_uid"], server.facts.tenants[0]);
    }
    let made = events.last().unwrap();
    assert_eq!(made["api"]["operation"], "chat.thread.register");
    assert_eq!(
        (&made["activity_name"], &made["status"]),
        (&json!("Create"), &json!("Success"))
    );
    let all = export(&server, &ada, &json!({"format": "ocsf"})).await;
    assert!(all.lines().count() as u64 >= last);

    for (body, status) in [
        (json!({"format": "ocsf", "since": 1}), 422),
        (json!({"format": "cef"}), 422),
        (json!({"format": "ocsf", "from": 0}), 422),
        (json!({"format": "ocsf", "to": last + 1000}), 404),
    ] {
        let request = Request::new("POST", "/audit/export").json(&body);
        let reply = send(&server, &ada, &request).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.visible());
    }
}
