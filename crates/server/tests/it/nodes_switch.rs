//! The kill switch of one node, and those who write on others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::succeed,
    several::Cloud,
};

/// Rounds of a tenant, and tenants that have theirs at the same time: a hundred together.
const ROUNDS: usize = 20;
const TENANTS: usize = 5;
/// Writers of a tenant on each of two nodes.
const WRITERS: usize = 2;
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

type Nodes = Arc<[Server; 3]>;

/// When Firestore committed each document, by its name, as a text that sorts as time does.
pub(crate) struct Commits {
    /// Of the emulator's other interface.
    url: String,
    /// The database.
    documents: String,
    client: reqwest::Client,
}

impl Commits {
    pub(crate) fn of(cloud: &Cloud) -> Self {
        let mut args = cloud.args.iter().skip_while(|arg| *arg != "--firestore");
        let told = args.nth(1).expect("where Firestore is");
        let told: Value = serde_json::from_str(told).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self {
            url: format!("http://{}/v1", text("emulator")),
            documents: format!("projects/{}/databases/(default)/documents", text("project")),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// The same of the emulator's database in another project.
    pub(crate) fn of_project(cloud: &Cloud, project: &str) -> Self {
        Self {
            documents: format!("projects/{project}/databases/(default)/documents"),
            ..Self::of(cloud)
        }
    }

    /// Of all documents.
    pub(crate) async fn all(&self) -> BTreeMap<String, String> {
        let url = format!("{}/{}:runQuery", self.url, self.documents);
        let query = json!({"structuredQuery": {
            "from": [{"collectionId": "docs", "allDescendants": true}],
            "select": {"fields": [{"fieldPath": "__name__"}]},
        }});
        let found = self.client.post(url).json(&query).send().await.unwrap();
        let found: Vec<Value> = found.json().await.unwrap();
        let documents = found.iter().map(|row| &row["document"]);
        documents.filter_map(committed).collect()
    }

    /// Of the document `name`.
    pub(crate) async fn one(&self, name: &str) -> String {
        let url = format!("{}/{name}", self.url);
        let found = self.client.get(url).send().await.unwrap();
        let found: Value = found.json().await.unwrap();
        committed(&found)
            .unwrap_or_else(|| panic!("{name}: {found}"))
            .1
    }
}

/// A document's name, and when it was changed last.
fn committed(document: &Value) -> Option<(String, String)> {
    let (name, at) = (document["name"].as_str()?, document["updateTime"].as_str()?);
    let at = at.trim_end_matches('Z');
    let (second, fraction) = at.split_once('.').unwrap_or((at, ""));
    Some((name.to_owned(), format!("{second}.{fraction:0<9}")))
}

/// A tenant, the switch that its rounds throw, and where the store keeps that.
struct Tenant {
    nodes: Nodes,
    caller: Caller,
    switch: String,
}

impl Tenant {
    /// Signs somebody up, as the owner of a tenant of its own.
    async fn sign_up(nodes: &Nodes, at: usize) -> Self {
        let body = json!({"email": format!("owner{at}@switch.example"),
            "password": "correct horse battery", "tenant_name": "Switching"});
        let signed_up = Request::new("POST", "/auth/signup").json(&body);
        let told = succeed(&nodes[0], &Caller::default(), signed_up).await;
        let text = |pointer| told.pointer(pointer).and_then(Value::as_str).unwrap();
        Self {
            nodes: Arc::clone(nodes),
            caller: Caller::new(
                text("/access_token"),
                text("/tenant/id"),
                text("/project/id"),
            ),
            switch: format!("/gates/kill-switches/of-{at}"),
        }
    }

    async fn throw(&self) {
        let row = json!({"action": "nexus.*", "reason": "a drill"});
        succeed(
            &self.nodes[0],
            &self.caller,
            Request::new("PUT", &self.switch).json(&row),
        )
        .await;
    }

    /// Lets writes through again, and waits until all nodes know.
    async fn lift(&self) {
        let lift = Request::new("DELETE", &self.switch);
        succeed(&self.nodes[0], &self.caller, lift).await;
        let deadline = Instant::now() + PATIENCE;
        for node in &self.nodes[1..] {
            while write(node, &self.caller).await.is_err() {
                assert!(Instant::now() < deadline, "the switch is lifted");
                sleep(POLL).await;
            }
        }
    }

    /// Throws the switch while others write, and returns its commit with the cards that were made.
    async fn round(&self, commits: &Commits, row: &str, round: usize) -> (String, Vec<String>) {
        let made = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for at in 0..2 * WRITERS {
            let (nodes, caller) = (Arc::clone(&self.nodes), self.caller.clone());
            let made = Arc::clone(&made);
            writers.spawn(async move {
                let mut cards = Vec::new();
                while let Ok(card) = write(&nodes[1 + at % 2], &caller).await {
                    cards.push(card);
                    made.fetch_add(1, Ordering::SeqCst);
                }
                cards
            });
        }
        while made.load(Ordering::SeqCst) < round % 5 {
            sleep(Duration::from_millis(1)).await;
        }
        self.throw().await;
        for node in &self.nodes[..] {
            write(node, &self.caller)
                .await
                .expect_err("it began after the switch was answered");
        }
        let cards = writers.join_all().await.concat();
        (commits.one(row).await, cards)
    }
}

/// Writes a card: its id, unless the switch says no.
async fn write(node: &Server, caller: &Caller) -> Result<String, ()> {
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "A card"}));
    loop {
        let reply = send(node, caller, &card).await;
        match (reply.status, reply.code().as_str()) {
            (201, _) => return Ok(reply.json()["id"].as_str().unwrap().to_owned()),
            (503, "kill_switch_engaged") => return Err(()),
            // Too many at once for the store: nothing was done.
            (503, "backend_unavailable") => {}
            _ => panic!("{}", reply.visible()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_another_node_commits_after_a_kill_switch_did() {
    let cloud = Cloud::start().await;
    let nodes: Nodes = Arc::new(cloud.nodes("").await);
    let mut tenants = JoinSet::new();
    for at in 0..TENANTS {
        let (nodes, commits) = (Arc::clone(&nodes), Commits::of(&cloud));
        tenants.spawn(async move {
            let tenant = Tenant::sign_up(&nodes, at).await;
            tenant.throw().await;
            let row = format!("row.1kill-switches.1of-{at}");
            let named = commits
                .all()
                .await
                .into_keys()
                .find(|name| name.ends_with(&row));
            let row = named.expect("the row of the switch");
            tenant.lift().await;
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                rounds.push(tenant.round(&commits, &row, round).await);
                tenant.lift().await;
            }
            rounds
        });
    }
    let rounds = tenants.join_all().await.concat();
    let committed: BTreeMap<String, String> = Commits::of(&cloud).all().await;
    let of_cards = committed.iter().filter_map(|(name, at)| {
        let id = name.rsplit("/docs/=").next()?;
        id.starts_with("cd_").then_some((id, at))
    });
    let of_cards: BTreeMap<&str, &String> = of_cards.collect();
    let mut written = 0;
    for (switch, cards) in &rounds {
        for card in cards {
            let card = of_cards
                .get(card.as_str())
                .expect("a card that was acknowledged");
            assert!(*card <= switch, "a card of {card}, the switch of {switch}");
            written += 1;
        }
    }
    assert_eq!(rounds.len(), ROUNDS * TENANTS);
    assert!(
        written > rounds.len(),
        "hardly anything was written: {written}"
    );
}
