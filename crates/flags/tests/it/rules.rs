//! Rules one by one: operators, what definitions must be, and what they mean when short.

use identity::Timestamp;
use serde_json::{Value, json};
use tenantry_flags::{
    Cause, Context, Definition, Evaluation, Flag, FlagKey, Layer, Layers, Place, Reason, Row,
    Unevaluated,
};

pub(super) fn definition(json: &Value) -> Definition {
    serde_json::from_value(json.clone()).unwrap()
}

pub(super) fn flag(key: &str, json: &Value) -> (FlagKey, Row) {
    let key: FlagKey = key.parse().unwrap();
    let flag = Flag::new(key.clone(), &definition(json)).unwrap();
    (key, Row::Flag(Box::new(flag)))
}

pub(super) const PLACE: Place<'static> = Place {
    tenant: "t_a",
    env: "prod",
    project: "p_1",
    mode: "lab",
};

fn evaluate(json: &Value, context: &Context) -> Result<Evaluation, Unevaluated> {
    let tenant = Layer::new(1, [flag("f", json)]);
    let layers = Layers {
        system: &Layer::default(),
        tenant: &tenant,
        place: PLACE,
        now: Timestamp::from_unix_ms(0),
    };
    layers.evaluate("f", context)
}

/// Whether one constraint holds.
fn holds(constraint: &Value, context: &Context) -> bool {
    let rules = json!({"rules": [{"when": [constraint]}]});
    evaluate(&rules, context).unwrap().is_on()
}

fn refused(json: &Value) -> String {
    let parsed: Definition = serde_json::from_value(json.clone()).unwrap();
    let refused = Flag::new("f".parse().unwrap(), &parsed);
    refused
        .map(|_| "accepted".to_owned())
        .unwrap_or_else(|invalid| invalid.pointer)
}

#[test]
fn short_definitions_are_booleans() {
    let nobody = Context::new();
    let on = evaluate(&json!({}), &nobody).unwrap();
    assert!(on.is_on() && on.reason == Reason::Static);
    let off = evaluate(&json!({"enabled": false}), &nobody).unwrap();
    assert_eq!(
        (off.is_on(), off.reason, off.cause),
        (false, Reason::Disabled, Some(Cause::Disabled))
    );
    let rule = json!({"rules": [{"name": "pros", "when": [{"attribute": "plan", "op": "in", "values": ["pro"]}]}]});
    let matched = evaluate(&rule, &Context::new().with("plan", "pro")).unwrap();
    assert_eq!(
        (matched.is_on(), matched.reason, matched.rule.as_deref()),
        (true, Reason::TargetingMatch, Some("pros"))
    );
    let unmatched = evaluate(&rule, &nobody).unwrap();
    assert_eq!(
        (unmatched.is_on(), unmatched.reason),
        (false, Reason::Default)
    );
}

#[test]
fn values_keep_the_form_in_which_they_were_written() {
    for value in ["3.0", "3", "-1e2", "\"\"", "{\"a\":[1,2.50,null]}"] {
        let text = format!("{{\"variants\":{{\"v\":{value}}},\"default_variant\":\"v\"}}");
        let evaluated = evaluate(&serde_json::from_str(&text).unwrap(), &Context::new()).unwrap();
        let expected: Value = serde_json::from_str(value).unwrap();
        assert_eq!(evaluated.variant.value.to_string(), expected.to_string());
    }
    let number = json!({"variants": {"v": 3.0}, "default_variant": "v"});
    assert_eq!(
        evaluate(&number, &Context::new())
            .unwrap()
            .variant
            .value
            .to_string(),
        "3.0"
    );
}

#[test]
fn operators_compare_what_they_say() {
    let context = Context::targeted("u_7")
        .with("plan", "pro")
        .with("age", 41)
        .with("vip", true)
        .with("groups", json!(["beta", "staff"]))
        .with("at", "2026-06-01T12:00:00Z")
        .with("version", "1.2.10-rc.1+build")
        .with("user", json!({"country": "DE", "a/b": [10, 20]}));
    for (attribute, op, values, expected) in [
        ("plan", "in", json!(["free", "pro"]), true),
        ("plan", "in", json!(["free"]), false),
        ("plan", "not_in", json!(["free"]), true),
        ("gone", "in", json!(["free"]), false),
        ("gone", "not_in", json!(["free"]), true),
        ("age", "in", json!([41.0]), true),
        ("age", "in", json!(["41"]), false),
        ("vip", "in", json!([true]), true),
        ("vip", "in", json!([false]), false),
        ("groups", "in", json!(["staff"]), true),
        ("groups", "not_in", json!(["staff"]), false),
        ("user", "in", json!(["DE"]), false),
        ("targetingKey", "in", json!(["u_7"]), true),
        ("plan", "starts_with", json!(["x", "p"]), true),
        ("plan", "ends_with", json!(["ro"]), true),
        ("plan", "contains", json!(["r"]), true),
        ("plan", "contains", json!(["R"]), false),
        ("age", "contains", json!(["4"]), false),
        ("age", "lt", json!([41]), false),
        ("age", "lte", json!([41]), true),
        ("age", "gt", json!([40.5]), true),
        ("age", "gte", json!([42]), false),
        ("plan", "gt", json!([0]), false),
        ("at", "before", json!(["2026-06-01T13:00:00+00:00"]), true),
        ("at", "after", json!(["2026-06-01T13:00:00+01:00"]), false),
        ("plan", "after", json!(["2026-06-01T13:00:00Z"]), false),
        ("version", "semver_lt", json!(["1.2.10"]), true),
        ("version", "semver_gt", json!(["1.2.9"]), true),
        ("version", "semver_eq", json!(["1.2.10-rc.1"]), true),
        ("plan", "semver_lt", json!(["9.9.9"]), false),
        ("plan", "exists", json!([]), true),
        ("gone", "exists", json!([]), false),
        ("gone", "not_exists", json!([]), true),
        ("plan", "not_exists", json!([]), false),
        ("/user/country", "in", json!(["DE"]), true),
        ("/user/a~1b/1", "in", json!([20]), true),
        ("/user/a~1b/2", "exists", json!([]), false),
        ("/plan", "in", json!(["pro"]), true),
        ("/", "exists", json!([]), false),
        ("$tenant", "in", json!(["t_a"]), true),
        ("$env", "in", json!(["prod"]), true),
        ("$project", "in", json!(["p_1"]), true),
        ("$mode", "in", json!(["lab"]), true),
    ] {
        let constraint = json!({"attribute": attribute, "op": op, "values": values});
        assert_eq!(holds(&constraint, &context), expected, "{constraint}");
    }
}

#[test]
fn nobody_can_claim_another_place() {
    let liar = Context::new().with("$tenant", "t_b").with("tenant", "t_b");
    let constraint = json!({"attribute": "$tenant", "op": "in", "values": ["t_b"]});
    assert!(!holds(&constraint, &liar));
}

#[test]
fn a_null_is_no_attribute() {
    let context = Context::new().with("plan", Value::Null);
    assert!(!holds(
        &json!({"attribute": "plan", "op": "exists"}),
        &context
    ));
}

#[test]
fn what_is_no_flag_is_pointed_at() {
    let many = |n: usize| {
        let pairs = (0..n).map(|n| (format!("v{n}"), json!(n)));
        pairs.collect::<serde_json::Map<_, _>>()
    };
    let moment = "2026-01-01T00:00:00Z";
    for (json, pointer) in [
        (json!({"variants": {}}), "/variants"),
        (json!({"variants": many(65)}), "/variants"),
        (json!({"variants": {"a": null}}), "/variants/a"),
        (json!({"variants": {"a": [1]}}), "/variants/a"),
        (json!({"variants": {"a": 1, "b": "1"}}), "/variants/b"),
        (json!({"variants": {"a b": 1}}), "/variants/a b"),
        (json!({"variants": {"a": 1}}), "/default_variant"),
        (json!({"default_variant": "maybe"}), "/default_variant"),
        (json!({"off_variant": "maybe"}), "/off_variant"),
        (
            json!({"mode": "deny_floor", "variants": {"a": 1}, "default_variant": "a"}),
            "/mode",
        ),
        (json!({"description": "d".repeat(1025)}), "/description"),
        (json!({"from": moment, "until": moment}), "/until"),
        (
            json!({"prerequisites": [{"flag": "f"}]}),
            "/prerequisites/0/flag",
        ),
        (
            json!({"prerequisites": [{"flag": "a b"}]}),
            "/prerequisites/0/flag",
        ),
        (
            json!({"prerequisites": [{"flag": "a", "variants": [""]}]}),
            "/prerequisites/0/variants/0",
        ),
        (
            json!({"prerequisites": vec![json!({"flag": "a"}); 9]}),
            "/prerequisites",
        ),
        (json!({"rules": vec![json!({}); 65]}), "/rules"),
    ] {
        assert_eq!(refused(&json), pointer, "{json}");
    }
}

#[test]
fn what_is_no_rule_is_pointed_at() {
    let on = |weight: u32| json!({"variant": "on", "weight": weight});
    let constraint = json!({"attribute": "a", "op": "exists"});
    for (rule, pointer) in [
        (json!({"rollout": 100.5}), "/rollout"),
        (json!({"rollout": -1}), "/rollout"),
        (json!({"rollout": 0.001}), "/rollout"),
        (json!({"name": "n".repeat(65)}), "/name"),
        (json!({"variant": "maybe"}), "/variant"),
        (json!({"variant": "on", "weights": [on(1)]}), "/weights"),
        (json!({"weights": [on(0)]}), "/weights"),
        (json!({"weights": [on(1_000_001)]}), "/weights/0/weight"),
        (json!({"weights": [on(1), on(1)]}), "/weights/1/variant"),
        (json!({"when": vec![constraint; 17]}), "/when"),
    ] {
        let refused = refused(&json!({"rules": [{}, rule]}));
        assert_eq!(refused, format!("/rules/1{pointer}"), "{rule}");
    }
    let named = json!({"variants": {"a": true}, "default_variant": "a", "rules": [{}]});
    assert_eq!(refused(&named), "/rules/0/variant");
}

#[test]
fn what_is_no_constraint_is_pointed_at() {
    for (attribute, op, values, pointer) in [
        ("", "exists", json!([]), "/attribute"),
        ("$user", "exists", json!([]), "/attribute"),
        (&"a".repeat(129), "exists", json!([]), "/attribute"),
        ("a", "in", json!([]), "/values"),
        ("a", "in", json!([[]]), "/values/0"),
        ("a", "in", json!(vec![1; 1001]), "/values"),
        ("a", "contains", json!([""]), "/values/0"),
        ("a", "gt", json!(["1"]), "/values/0"),
        ("a", "gt", json!([1, 2]), "/values"),
        ("a", "before", json!(["soon"]), "/values/0"),
        ("a", "semver_eq", json!(["1"]), "/values/0"),
        ("a", "exists", json!([1]), "/values"),
    ] {
        let constraint = json!({"attribute": attribute, "op": op, "values": values});
        let refused = refused(&json!({"rules": [{"when": [constraint]}]}));
        assert_eq!(refused, format!("/rules/0/when/0{pointer}"), "{constraint}");
    }
}

#[test]
fn a_rollout_without_a_targeting_key_has_no_value() {
    let half = json!({"rules": [{"rollout": 50}]});
    assert_eq!(
        evaluate(&half, &Context::new()),
        Err(Unevaluated::TargetingKeyMissing)
    );
    assert!(evaluate(&half, &Context::targeted("u")).is_ok());
    let constrained =
        json!({"rules": [{"rollout": 50, "when": [{"attribute": "a", "op": "exists"}]}]});
    assert_eq!(
        evaluate(&constrained, &Context::new()).unwrap().reason,
        Reason::Default
    );
}
