//! A 304 is never stale: a tag holds for one answer alone.

use std::{collections::HashMap, time::Duration};

use identity::Role;
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};
use tenantry_flags::LayerName::{System, Tenant};

use super::node::Node;

/// Something that happens between two questions.
#[derive(Debug, Clone)]
enum Step {
    Ask(Value),
    Put(bool, Value),
    Delete(bool),
    Wait(u32),
}

fn context() -> impl Strategy<Value = Value> {
    let who = option::of("u_[0-3]");
    let attributes = proptest::collection::hash_map("(plan|team)", "(a|b)", 0..3);
    (who, attributes).prop_map(|(who, attributes)| {
        let mut context = json!(attributes);
        if let Some(who) = who {
            context["targetingKey"] = json!(who);
        }
        context
    })
}

fn definition() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"enabled": false})),
        Just(json!({"rules": [{"rollout": 50}]})),
        Just(json!({"rules": [{"when": [{"attribute": "plan", "op": "in", "values": ["a"]}]}]})),
        Just(json!({"from": "2026-01-01T00:00:10Z", "until": "2026-01-01T00:00:30Z"})),
        Just(json!({"rules": [{"from": "2026-01-01T00:00:20Z"}]})),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => context().prop_map(Step::Ask),
        2 => (any::<bool>(), definition()).prop_map(|(system, json)| Step::Put(system, json)),
        1 => any::<bool>().prop_map(Step::Delete),
        2 => (1_u32..20).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_tag_is_one_answer(steps in vec(step(), 1..30)) {
        actix_web::rt::System::new().block_on(async {
            let node = Node::new().await;
            let callers = [
                node.caller("t_a", "u_admin", Role::Admin),
                node.caller("t_b", "u_other", Role::Admin),
            ];
            let mut answers: HashMap<String, String> = HashMap::new();
            for step in steps {
                let layer = |system| if system { System } else { Tenant };
                match step {
                    Step::Put(system, json) => drop(node.put(layer(system), "f", &json).await),
                    Step::Delete(system) => {
                        let (scope, key) = (node.scope(layer(system)), "f".parse().unwrap());
                        let any = identity::Precondition::Any;
                        // There may be none.
                        let _ = node.flags.delete(scope, layer(system), &key, &any).await;
                    }
                    Step::Wait(seconds) => node.world.clock.advance(Duration::from_secs(seconds.into())),
                    Step::Ask(context) => {
                        for caller in &callers {
                            let answer = caller.all(&context).await;
                            let tag = answer.etag.unwrap();
                            let told = answers.entry(tag.clone()).or_insert_with(|| answer.text.clone());
                            assert_eq!(*told, answer.text, "one tag for two answers");
                            let again = caller.sending("if-none-match", tag).all(&context).await;
                            assert_eq!(again.status, 304, "the same question has the same tag");
                        }
                    }
                }
            }
        });
    }
}
