//! Layers, rules, rollouts, prerequisites and schedules together, against the oracle.

use std::collections::BTreeMap;

use identity::Timestamp;
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};
use tenantry_flags::{
    Context, Definition, Evaluation, Flag, Layer, LayerName, Layers, Place, Row, Unevaluated,
};

use super::oracle::{self, Oracle};

const KEYS: [&str; 4] = ["a", "b", "team/c", "d"];
const TIMES: [&str; 3] = [
    "2026-01-01T00:00:00.000Z",
    "2026-01-02T00:00:00.000Z",
    "2026-01-03T00:00:00.000Z",
];

/// An object without its nulls.
fn object(members: Value) -> Value {
    let Value::Object(mut members) = members else {
        unreachable!("an object was written")
    };
    members.retain(|_, value| !value.is_null());
    Value::Object(members)
}

fn time() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.2, proptest::sample::select(&TIMES[..]))
}

/// A beginning and an end in order, or neither.
fn window() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let ordered = |(from, until): (Option<&'static str>, Option<&'static str>)| match (from, until)
    {
        (Some(from), Some(until)) if from >= until => (Some(from), None),
        other => other,
    };
    (time(), time()).prop_map(ordered)
}

fn name(boolean: bool) -> impl Strategy<Value = &'static str> {
    let names: &[&str] = if boolean {
        &["on", "off"]
    } else {
        &["x", "y", "z"]
    };
    proptest::sample::select(names)
}

fn rule(boolean: bool) -> impl Strategy<Value = Value> {
    let when = vec(("(in|not_in)", vec("(free|pro|team)", 1..3)), 0..2);
    let rollout = option::of(0_u32..=100);
    let weights = option::weighted(0.3, (0_u32..5, 1_u32..5));
    (when, rollout, name(boolean), weights, window()).prop_map(
        move |(when, rollout, variant, weights, (from, until))| {
            let when: Vec<Value> = when
                .into_iter()
                .map(|(op, values)| json!({"attribute": "plan", "op": op, "values": values}))
                .collect();
            let names = if boolean { ["on", "off"] } else { ["x", "z"] };
            let weights = weights.map(|(first, second)| {
                json!([{"variant": names[0], "weight": first}, {"variant": names[1], "weight": second}])
            });
            let variant = weights.is_none().then_some(variant);
            object(json!({"when": when, "rollout": rollout, "variant": variant,
                "weights": weights, "from": from, "until": until}))
        },
    )
}

/// A flag that may wait for those before it.
fn flag(at: usize, system: bool) -> impl Strategy<Value = Value> {
    any::<bool>().prop_flat_map(move |boolean| {
        let modes: &[&str] = match (system, boolean) {
            (true, true) => &["default", "locked", "deny_floor"],
            (true, false) => &["default", "locked"],
            (false, _) => &["none"],
        };
        let needs = vec(
            (0..at.max(1), option::of(vec("(on|off|x|y)", 1..3))),
            0..usize::from(at > 0) + 1,
        );
        (
            proptest::sample::select(modes),
            any::<bool>(),
            vec(rule(boolean), 0..3),
            (any::<bool>(), name(boolean)),
            option::of(name(boolean)),
            needs,
            window(),
        )
            .prop_map(
                move |(mode, enabled, rules, default, off, needs, (from, until))| {
                    let variants = (!boolean).then(|| json!({"x": "eks", "y": "why", "z": "zed"}));
                    let needs = needs.into_iter().filter(|_| at > 0);
                    let needs: Vec<Value> = needs
                        .map(|(other, variants)| {
                            object(json!({"flag": KEYS[other], "variants": variants}))
                        })
                        .collect();
                    object(
                        json!({"mode": (mode != "none").then_some(mode), "enabled": enabled,
                    "variants": variants, "default_variant": (!boolean || default.0).then_some(default.1), "off_variant": off,
                    "rules": rules, "prerequisites": needs, "from": from, "until": until}),
                    )
                },
            )
    })
}

fn layer(system: bool) -> impl Strategy<Value = BTreeMap<String, oracle::Row>> {
    let row = move |at| option::weighted(0.7, option::weighted(0.9, flag(at, system)));
    (row(0), row(1), row(2), row(3)).prop_map(|(a, b, c, d)| {
        let rows = KEYS.iter().zip([a, b, c, d]);
        rows.filter_map(|(key, row)| Some(((*key).to_owned(), row?)))
            .collect()
    })
}

fn compiled(rows: &BTreeMap<String, oracle::Row>) -> Layer {
    let row = |(key, row): (&String, &oracle::Row)| {
        let key: tenantry_flags::FlagKey = key.parse().unwrap();
        let row = match row {
            None => Row::Damaged,
            Some(json) => {
                let definition: Definition = serde_json::from_value(json.clone()).unwrap();
                Row::Flag(Box::new(Flag::new(key.clone(), &definition).unwrap()))
            }
        };
        (key, row)
    };
    Layer::new(1, rows.iter().map(row))
}

fn told(answer: Result<Evaluation, Unevaluated>) -> oracle::Answer {
    match answer {
        Ok(it) => {
            let variant = it.variant.name.to_string();
            Ok((variant, it.reason.as_str(), it.layer.as_str()))
        }
        Err(Unevaluated::NotFound) => Err("not found"),
        Err(Unevaluated::TargetingKeyMissing) => Err("no targeting key"),
        Err(Unevaluated::Damaged(LayerName::System)) => Err("damaged system"),
        Err(Unevaluated::Damaged(LayerName::Tenant)) => Err("damaged tenant"),
        Err(Unevaluated::TooManyPrerequisites) => Err("too many"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn flags_evaluate_to_what_the_rules_say(
        system in layer(true),
        tenant in layer(false),
        who in option::of("u_[0-9]{1,3}"),
        plan in option::of("(free|pro)"),
        now in proptest::sample::select(&TIMES[..]),
    ) {
        let oracle = Oracle {
            system: &system,
            tenant: &tenant,
            targeting_key: who.as_deref(),
            plan: plan.as_deref(),
            now,
        };
        let (system, tenant) = (compiled(&system), compiled(&tenant));
        let now: Timestamp = now.parse().unwrap();
        let layers = Layers {
            system: &system,
            tenant: &tenant,
            place: Place { tenant: "t_a", env: "dev", project: "p_1", mode: "saas" },
            now,
        };
        let context = who.as_deref().map_or_else(Context::new, Context::targeted);
        let context = match &plan {
            Some(plan) => context.with("plan", plan.as_str()),
            None => context,
        };
        for key in KEYS {
            prop_assert_eq!(told(layers.evaluate(key, &context)), oracle.answer(key), "{}", key);
        }
    }
}
