//! What is deployed beside the binary, compared with the binary: names of metrics, routes, times.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    client::{Caller, Request, send},
    process::Server,
    streams::{Sse, post, thread},
    telemetry::page,
};

/// Metrics that a server shows only after something rare, each with what that is.
const RARE: [(&str, &str); 4] = [
    (
        "tenantry_assets_objects_deleted_total",
        "an object that nothing refers to was deleted",
    ),
    (
        "tenantry_backend_refusals_total",
        "a backend in the network failed",
    ),
    (
        "tenantry_nodes_heard_total",
        "another node told of a change",
    ),
    ("tenantry_redis_append_batch_size", "an event went to Redis"),
];

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let words = words.filter(|word| word.starts_with("tenantry_") && !word.ends_with('_'));
    words.map(str::to_owned).collect()
}

/// The name of a metric without what Prometheus adds for histograms.
fn base(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// What a server shows that was used a little.
async fn shown() -> BTreeSet<String> {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let _follower = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    post(&server, &ada, "th_1", &["a"]).await;
    let card = Request::new("POST", "/nexus/cards").json(&serde_json::json!({"title": "a"}));
    assert_eq!(send(&server, &ada, &card).await.status, 201);
    let rare = RARE.map(|(name, _)| name.to_owned());
    let page = page(&server).await;
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known = types.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
    known.chain(rare).collect()
}

#[tokio::test]
async fn what_is_alerted_on_drawn_and_documented_is_what_a_server_shows() {
    let shown = shown().await;
    for file in [
        "deploy/prometheus-rules.yaml",
        "deploy/grafana-dashboard.json",
        "docs/operations.md",
    ] {
        for name in names(&read(file)) {
            assert!(
                shown.contains(base(&name)),
                "{file} names {name}, which no server shows"
            );
        }
    }
    let documented = names(&read("docs/operations.md"));
    for name in &shown {
        assert!(
            documented.contains(name),
            "docs/operations.md does not explain {name}"
        );
    }
}

/// Sources that name metrics.
fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let texts = text.split('"').skip(1).step_by(2);
            found.extend(
                texts
                    .flat_map(names)
                    .filter(|name| !name.contains("tenantry_server")),
            );
        }
    }
}

#[test]
fn whatever_is_measured_is_in_the_catalogue_and_in_the_documentation() {
    let catalogue = names(&read("crates/server/src/telemetry/catalogue.rs"));
    let documented = names(&read("docs/operations.md"));
    let mut measured = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut measured);
    }
    let crates = [
        "identity",
        "store",
        "realtime",
        "canvas",
        "nexus",
        "privacy",
        "gatechain",
        "flags",
        "audit",
        "control",
    ];
    for name in crates.map(|name| format!("tenantry_{name}")) {
        measured.remove(&name);
    }
    assert!(measured.len() > 30, "{measured:?}");
    for name in &measured {
        let known = catalogue.contains(name) && documented.contains(name);
        assert!(
            known,
            "{name}: add it to telemetry/catalogue.rs and docs/operations.md"
        );
    }
}

#[test]
fn alert_rules_are_whole_and_each_has_its_page_in_the_runbook() {
    let rules = yaml("deploy/prometheus-rules.yaml").remove(0);
    let rules = rules["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .clone();
    assert!(rules.len() > 15);
    let runbook = read("docs/operations.md");
    for rule in &rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(
            runbook.contains(&format!("\n#### {name}\n")),
            "no page for {name}"
        );
        let severity = rule["labels"]["severity"].as_str();
        assert!(
            matches!(severity, Some("page" | "ticket")),
            "{name}: {severity:?}"
        );
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        let expr = rule["expr"].as_str().expect("an expression");
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            let count = |of: char| expr.chars().filter(|c| *c == of).count();
            assert_eq!(count(open), count(close), "{name}: {expr}");
        }
    }
    let pages = runbook.matches("\n#### Tenantry").count();
    assert_eq!(pages, rules.len(), "a page without its alert");
}

#[test]
fn the_dashboard_draws_each_panel_from_something() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "timeseries" {
            let targets = panel["targets"].as_array().unwrap();
            let whole = |target: &Value| {
                target["expr"]
                    .as_str()
                    .is_some_and(|expr| expr.contains("tenantry_"))
            };
            assert!(!targets.is_empty() && targets.iter().all(whole), "{panel}");
        }
    }
}

#[tokio::test]
async fn the_manifest_asks_what_the_server_answers_and_gives_it_time_to_drain() {
    let documents = yaml("deploy/kubernetes.yaml");
    let of_kind = |kind: &str| {
        let found = documents.iter().find(|document| document["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    let nodes = &of_kind("StatefulSet")["spec"];
    let pod = &nodes["template"]["spec"];
    let container = &pod["containers"][0];
    let server = Server::start();
    for probe in ["livenessProbe", "startupProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"]
            .as_str()
            .expect("a path");
        let answer = send(&server, &Caller::default(), &Request::new("GET", path)).await;
        assert_eq!(answer.status, 200, "{probe}");
    }
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    // Balancers learn of it, streams drain, requests end, telemetry is flushed.
    let drain = tenantry_server::config::HttpConfig::default().drain_s;
    let grace = pod["terminationGracePeriodSeconds"]
        .as_u64()
        .expect("seconds");
    let wait = container["lifecycle"]["preStop"]["exec"]["command"][1]
        .as_str()
        .expect("seconds");
    let wait: u64 = wait.parse().expect("a number");
    assert!(
        grace >= wait + 2 * drain + 5,
        "{grace} s is less than a drain takes"
    );
    let labels = &nodes["template"]["metadata"]["labels"];
    assert_eq!(&nodes["selector"]["matchLabels"], labels);
    let budget = &of_kind("PodDisruptionBudget")["spec"];
    assert_eq!(&budget["selector"]["matchLabels"], labels);
    assert_eq!(&of_kind("Service")["spec"]["selector"], labels);
    assert!(nodes["replicas"].as_u64() > budget["maxUnavailable"].as_u64());
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_gives_a_drain_its_time() {
    let unit = read("deploy/tenantry.service");
    let seconds = unit
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
    let drain = tenantry_server::config::HttpConfig::default().drain_s;
    assert!(seconds.unwrap().parse::<u64>().unwrap() >= 2 * drain + 5);
    assert!(unit.contains(&format!(
        "RestartPreventExitStatus={}",
        tenantry_server::EXIT_CONFIG
    )));
    // systemd wants to see the binary: here it is another one.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenantry.service");
    fs::write(
        &file,
        unit.replace("/usr/local/bin/tenantry", env!("CARGO_BIN_EXE_tenantry")),
    )
    .unwrap();
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
    {
        Ok(verified) => {
            let said = String::from_utf8_lossy(&verified.stderr);
            assert!(
                verified.status.success() && !said.contains("tenantry.service:"),
                "{said}"
            );
        }
        // A machine without systemd cannot tell; the unit is read by eye there.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_as_nobody_in_particular() {
    let file = read("deploy/Containerfile");
    let stages = file
        .lines()
        .filter(|line| line.starts_with("FROM "))
        .count();
    assert_eq!(stages, 2, "a stage that builds and one that runs");
    let rust = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = rust
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    assert!(file.contains(&format!("rust:{}-", version.unwrap())));
    assert!(file.contains("--package tenantry-server --bin tenantry"));
    assert!(file.lines().any(|line| line == "USER 10001:10001"));
    assert!(file.contains("HEALTHCHECK") && file.contains("/healthz"));
    let serve = file
        .lines()
        .find(|line| line.starts_with("CMD [\"serve\""))
        .expect("it serves");
    let args: Vec<String> = serde_json::from_str(serve.trim_start_matches("CMD ")).unwrap();
    let help = crate::process::tenantry()
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&help.stdout);
    for flag in args.iter().filter(|arg| arg.starts_with("--")) {
        assert!(help.contains(flag.as_str()), "{flag} is no flag of serve");
    }
}
