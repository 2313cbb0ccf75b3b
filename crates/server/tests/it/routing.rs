//! The routing registry as operators meet it: each row is needed, each fault is named, nothing secret is told.

use std::{fs, path::Path, process::Output};

use crate::process::tenantry;

/// An installation, and its configuration.
struct Installation {
    folder: tempfile::TempDir,
    config: String,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tenantry.toml").display().to_string();
        let data = folder.path().join("data").display().to_string();
        let made = run(&["init", "--config", &config, "--data", &data]);
        assert!(made.status.success(), "{}", said(&made));
        Self { folder, config }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut args = args.to_vec();
        args.extend(["--config", &self.config]);
        run(&args)
    }

    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is in the files of the secrets.
    fn secrets(&self) -> Vec<String> {
        let folder = fs::read_dir(self.folder.path().join("data/secrets")).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap().trim().to_owned();
        folder.map(|file| read(&file.unwrap().path())).collect()
    }
}

fn run(args: &[&str]) -> Output {
    tenantry().args(args).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Each kind of seed 002, and those of the control plane and the audit log.
const PROMISED: [&str; 18] = [
    "analytics_events",
    "audit_log",
    "budget",
    "chat_bus",
    "control",
    "feature_flags",
    "firearms",
    "kpi",
    "maybes",
    "media",
    "memory",
    "nexus",
    "page_content",
    "rate_limit",
    "raw_storage",
    "realtime_registry",
    "seo",
    "strategy_lock",
];

#[test]
fn each_row_is_needed_and_its_absence_is_named_without_telling_a_secret() {
    let installed = Installation::new();
    let secrets = installed.secrets();
    assert!(secrets.len() >= 6, "{}", secrets.len());
    let rows = installed.succeed(&["routes", "list"]);
    let kinds: Vec<&str> = rows
        .lines()
        .map(|row| row.split(' ').next().unwrap())
        .collect();
    for promised in PROMISED {
        assert!(kinds.contains(&promised), "{promised} has no row: {rows}");
    }
    for row in rows.lines() {
        let mut words = row.splitn(5, ' ');
        let [kind, tenant, env, backend] = [(); 4].map(|()| words.next().unwrap());
        assert_eq!((tenant, env), ("*", "*"), "{row}");
        installed.succeed(&["routes", "remove", kind]);
        for check in [["check"].as_slice(), &["routes", "check"]] {
            let refused = installed.run(check);
            let told = said(&refused);
            assert_eq!(refused.status.code(), Some(78), "without {kind}: {told}");
            assert!(
                told.contains(&format!("the route of {kind} for */*: no row")),
                "{told}"
            );
            let leaked = secrets.iter().find(|secret| told.contains(secret.as_str()));
            assert!(leaked.is_none(), "a secret is told without {kind}");
        }
        let (target, named) = words.next().unwrap().rsplit_once('}').unwrap();
        let target = format!("{target}}}");
        let mut set = vec![
            "routes",
            "set",
            kind,
            "--backend",
            backend,
            "--target",
            &target,
        ];
        for secret in named.split_whitespace() {
            set.extend(["--secret", secret]);
        }
        installed.succeed(&set);
    }
    assert_eq!(installed.succeed(&["routes", "list"]), rows);
    installed.succeed(&["check"]);
}

#[test]
fn a_row_with_a_fault_is_refused_and_the_old_one_stands() {
    let installed = Installation::new();
    let rows = installed.succeed(&["routes", "list"]);
    let faults: [(&[&str], &str); 7] = [
        (&["chat_bus", "--backend", "nowhere"], "not built in"),
        (&["chat_bus", "--backend", "s3"], "cannot serve chat_bus"),
        (&["chat_bus", "--backend", "redis", "--target", "{}"], "url"),
        (
            &["memory", "--backend", "embedded"],
            "shares batches with nexus",
        ),
        (
            &["rate_limit", "--backend", "embedded", "--env", "dev"],
            "is the same in all environments",
        ),
        (
            &[
                "control",
                "--backend",
                "firestore",
                "--target",
                r#"{"project":"p","emulator":"127.0.0.1:1"}"#,
            ],
            "the control store is elsewhere",
        ),
        (
            &[
                "chat_bus",
                "--backend",
                "redis",
                "--target",
                r#"{"url":"redis://127.0.0.1"}"#,
                "--secret",
                "password=env:SET_BY_NOBODY",
            ],
            "env:SET_BY_NOBODY is not set",
        ),
    ];
    for (args, why) in faults {
        let mut set = vec!["routes", "set"];
        set.extend(args);
        let refused = installed.run(&set);
        assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
        assert!(said(&refused).contains(why), "{}", said(&refused));
    }
    assert_eq!(installed.succeed(&["routes", "list"]), rows);
}

#[test]
fn a_secret_given_in_the_place_of_its_reference_is_not_repeated() {
    let installed = Installation::new();
    let set = [
        "routes",
        "set",
        "chat_bus",
        "--backend",
        "redis",
        "--target",
        r#"{"url":"redis://127.0.0.1"}"#,
    ];
    for given in ["password=hunter2-canary", "hunter2-canary"] {
        let mut args = set.to_vec();
        args.extend(["--secret", given]);
        let refused = installed.run(&args);
        assert!(!refused.status.success());
        assert!(
            !said(&refused).contains("hunter2-canary"),
            "{}",
            said(&refused)
        );
    }
}

#[test]
fn the_profile_cloud_asks_for_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tenantry.toml").display().to_string();
    let data = folder.path().join("data").display().to_string();
    let init = [
        "init",
        "--profile",
        "cloud",
        "--config",
        &config,
        "--data",
        &data,
    ];
    let refused = run(&init);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    for flag in ["--redis", "--firestore", "--s3"] {
        assert!(said(&refused).contains(flag), "{flag}: {}", said(&refused));
    }
    assert!(!Path::new(&config).exists(), "nothing half-written");
}
