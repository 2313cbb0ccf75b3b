//! Training data: nothing of those who opted out, on whatever path their records came.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use identity::{
    Conclusion, Deed, Env, Outcome, Place, Recorder, Remarks, Role, Scope, TenantId, UserId,
};
use serde_json::{Value, json};
use tenantry_audit::{
    DatasetEvent, Seq, Training,
    service::{Audit, TrainingPolicy},
};

use crate::service::house::{House, event, put, recorder};

const YES: &str = "u_willing";
const NO: &str = "u_unwilling";
/// In everything that the unwilling do.
const CANARY: &str = "canary-5d1c";
/// In everything that the willing do.
const SIGNAL: &str = "signal-88ab";

/// Those who allow training; it can be taken back.
#[derive(Default)]
struct Willing(Mutex<BTreeSet<String>>);

impl Willing {
    fn say(&self, user: &str, allowed: bool) {
        let mut willing = self.0.lock().unwrap();
        if allowed {
            willing.insert(user.to_owned());
        } else {
            willing.remove(user);
        }
    }
}

#[async_trait]
impl TrainingPolicy for Willing {
    async fn training(&self, _: &TenantId, user: &UserId) -> Training {
        Training {
            allowed: self.0.lock().unwrap().contains(user.as_str()),
            source: "user".into(),
            version: 1,
        }
    }
}

/// An event of the willing, recorded when they allowed it.
fn allowed(n: usize) -> DatasetEvent {
    let mut event = event("t_a", Env::Prod, YES, n);
    event.training.allowed = true;
    event
}

fn house() -> (House, Arc<Willing>) {
    let willing = Arc::new(Willing::default());
    willing.say(YES, true);
    let mut house = House::new();
    house.training = Arc::clone(&willing) as Arc<dyn TrainingPolicy>;
    (house, willing)
}

async fn scope_of(house: &House, user: &str) -> Scope {
    house
        .world
        .scope_as("t_a", Env::Prod, user, Role::Member)
        .await
}

async fn exported(audit: &Arc<Audit>, scope: &Scope) -> String {
    let lines = audit.training_export(scope, Seq::FIRST, None).await;
    let lines = lines.unwrap().try_collect::<Vec<_>>().await.unwrap();
    String::from_utf8(lines.concat()).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Does one thing on each path, with `word` wherever a user's word may stand.
async fn act(house: &House, audit: &Arc<Audit>, user: &str, word: &str) {
    let scope = scope_of(house, user).await;
    let ids = house.ids(word);
    let target = format!("/chat/threads/{word}");
    let deed = Deed {
        place: Place::from(&scope),
        action: "chat.thread.register",
        method: "POST",
        target: &target,
        ids: &ids,
    };
    let remarks = Remarks::default()
        .with("thread_id", word)
        .with("note", word);
    let conclusion = |outcome| Conclusion {
        outcome,
        created: Some(&target),
        remarks: &remarks,
    };
    let recorder = recorder(audit);
    // Success, an error, a panic.
    for outcome in [Outcome::Done, Outcome::Failed("internal")] {
        let pending = recorder.intend(&deed).await;
        let _ = pending.conclude(conclusion(outcome)).await;
    }
    drop(recorder.intend(&deed).await);
    // A stream that opened and closed, and a refusal.
    let _ = recorder.note(&deed, conclusion(Outcome::Done)).await;
    recorder.refused(&deed, "role_forbidden");
    // A retry, after the store was away.
    house.vault.set_down(true);
    let pending = recorder.intend(&deed).await;
    let _ = pending.conclude(conclusion(Outcome::Done)).await;
    house.vault.set_down(false);
    audit.turn().await;
}

#[tokio::test]
async fn a_canary_of_the_unwilling_is_in_no_export_on_any_path() {
    let (house, _) = house();
    let audit = house.open().await;
    act(&house, &audit, NO, CANARY).await;
    act(&house, &audit, YES, SIGNAL).await;
    // What the willing do to a thing that the unwilling named, and the other way round.
    act_on(&house, &audit, YES, CANARY).await;
    // The task of a dropped intent ends by itself.
    let scope = scope_of(&house, YES).await;
    let mut text = String::new();
    for _ in 0..200 {
        tokio::task::yield_now().await;
        audit.turn().await;
        text = exported(&audit, &scope).await;
        if text.contains("unknown") {
            break;
        }
    }
    assert!(!text.contains(CANARY), "{text}");
    for user in [YES, NO] {
        assert!(!text.contains(user), "{text}");
    }
    for path in [
        "\"done\"",
        "failed:internal",
        "unknown",
        "refused:role_forbidden",
        "intent",
    ] {
        assert!(text.contains(path), "{path} in {text}");
    }
    let rows = lines(&text);
    let signals = rows.iter().filter(|row| row["metadata"]["note"] == SIGNAL);
    assert_eq!(
        signals.count(),
        4,
        "done, failed, the note, the retry: {text}"
    );
    let end = rows.last().unwrap();
    assert_eq!(end["kind"], "end");
    assert_eq!(end["rows"].as_u64().unwrap() as usize, rows.len() - 1);
    assert!(end["left_out"].as_u64().unwrap() >= 9, "{end}");
}

/// One deed of `user` about a thing that `word` names.
async fn act_on(house: &House, audit: &Arc<Audit>, user: &str, word: &str) {
    let scope = scope_of(house, user).await;
    let ids = house.ids("request");
    let target = format!("/chat/threads/{word}");
    let deed = Deed {
        place: Place::from(&scope),
        action: "chat.message.post",
        method: "POST",
        target: &target,
        ids: &ids,
    };
    let remarks = Remarks::default().with("thread_id", word);
    let conclusion = Conclusion {
        outcome: Outcome::Done,
        created: Some(&target),
        remarks: &remarks,
    };
    let _ = recorder(audit).note(&deed, conclusion).await;
}

#[tokio::test]
async fn consent_counts_when_it_was_recorded_and_when_it_is_used() {
    let (house, willing) = house();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Prod).await;
    let rows = |text: &str| lines(text).last().unwrap()["rows"].as_u64().unwrap();
    put(&audit, allowed(1)).await;
    audit.turn().await;
    assert_eq!(rows(&exported(&audit, &scope).await), 1);
    willing.say(YES, false);
    assert_eq!(rows(&exported(&audit, &scope).await), 0, "taken back");
    willing.say(YES, true);
    let mut denied = allowed(2);
    denied.training.allowed = false;
    put(&audit, denied).await;
    assert_eq!(rows(&exported(&audit, &scope).await), 1, "denied then");
    let erased = audit.erase(&scope, &YES.parse().unwrap()).await.unwrap();
    assert!(erased.keys > 0);
    assert_eq!(rows(&exported(&audit, &scope).await), 0, "nobody to ask");
}

#[tokio::test]
async fn personal_data_in_metadata_is_neither_recorded_nor_exported() {
    let (house, _) = house();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Prod).await;
    let mut said = allowed(1);
    let text = json!("mail ada@example.com or pay 4111 1111 1111 1111");
    said.metadata.insert("text".to_owned(), text);
    let seq = Seq::try_from(put(&audit, said).await).unwrap();
    let entry = audit.entry(&scope, seq).await.unwrap().unwrap();
    assert_eq!(entry.leaf.metadata["text"], "mail <EMAIL> or pay <CARD>");
    audit.turn().await;
    let text = exported(&audit, &scope).await;
    assert!(text.contains("<EMAIL>") && !text.contains("ada@"), "{text}");
    for held in house.vault.copy().everything() {
        let held = String::from_utf8_lossy(&held);
        assert!(!held.contains("ada@example") && !held.contains("4111 1111"));
    }
}

#[tokio::test]
async fn a_range_is_exported_and_another_tenant_has_none() {
    let (house, _) = house();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Prod).await;
    for n in 0..1200 {
        put(&audit, allowed(n)).await;
    }
    let seq = |n: u64| Seq::try_from(n).unwrap();
    let some = audit.training_export(&scope, seq(3), Some(seq(1100))).await;
    let text = some
        .unwrap()
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .concat();
    let rows = lines(std::str::from_utf8(&text).unwrap());
    assert_eq!((&rows[0]["seq"], rows.len()), (&json!(3), 1099));
    for other in ["t_b", "t_c"] {
        let other = house.scope(other, Env::Prod).await;
        assert_eq!(lines(&exported(&audit, &other).await).len(), 1);
    }
    let staging = house.scope("t_a", Env::Dev).await;
    assert_eq!(lines(&exported(&audit, &staging).await).len(), 1);
}

#[tokio::test]
async fn a_request_that_asks_for_privacy_is_recorded_as_denied_on_every_path() {
    let (house, _) = house();
    let audit = house.open().await;
    let scope = scope_of(&house, YES).await;
    let ids = house.ids("private").with_gpc(true);
    let deed = Deed {
        place: Place::from(&scope),
        action: "chat.thread.register",
        method: "POST",
        target: "/chat/threads",
        ids: &ids,
    };
    let remarks = Remarks::default();
    let conclusion = Conclusion {
        outcome: Outcome::Done,
        created: None,
        remarks: &remarks,
    };
    let recorder = recorder(&audit);
    let _ = recorder.intend(&deed).await.conclude(conclusion).await;
    let _ = recorder.note(&deed, conclusion).await;
    recorder.refused(&deed, "role_forbidden");
    audit.turn().await;
    let entries = audit.entries(&scope, 0, 10).await.unwrap();
    assert_eq!(entries.len(), 4);
    for entry in entries {
        let training = &entry.leaf.training;
        assert_eq!((training.allowed, training.source.as_str()), (false, "gpc"));
    }
    assert_eq!(lines(&exported(&audit, &scope).await).len(), 1);
}
