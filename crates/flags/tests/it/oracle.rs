//! What flags should evaluate to, from their JSON, one sentence of the rules at a time.
//!
//! Slow, recursive and without the crate's types, so that it errs differently.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use unleash_yggdrasil::strategy_parsing::normalized_hash;

/// What is stored under a key: a definition, or something damaged.
pub(super) type Row = Option<Value>;

/// Both layers, whom they are asked about, and when.
pub(super) struct Oracle<'a> {
    pub(super) system: &'a BTreeMap<String, Row>,
    pub(super) tenant: &'a BTreeMap<String, Row>,
    pub(super) targeting_key: Option<&'a str>,
    pub(super) plan: Option<&'a str>,
    pub(super) now: &'a str,
}

/// Variant, reason and layer; or the error.
pub(super) type Answer = Result<(String, &'static str, &'static str), &'static str>;

impl Oracle<'_> {
    pub(super) fn answer(&self, key: &str) -> Answer {
        match (self.system.get(key), self.tenant.get(key)) {
            (None, None) => Err("not found"),
            (Some(None), _) => Err("damaged system"),
            (None, Some(None)) => Err("damaged tenant"),
            (None, Some(Some(own))) => self.of(own, key, "tenant"),
            (Some(Some(all)), None) => self.of(all, key, "system"),
            (Some(Some(all)), Some(own)) => {
                let mode = all["mode"].as_str().unwrap_or("default");
                let fits = own
                    .as_ref()
                    .is_none_or(|own| is_boolean(own) == is_boolean(all));
                if mode == "locked" || !fits {
                    return self.of(all, key, "system");
                }
                let below = self.of(all, key, "system");
                if mode == "deny_floor" && (below.is_err() || !on(all, &below)) {
                    return below;
                }
                own.as_ref()
                    .map_or(Err("damaged tenant"), |own| self.of(own, key, "tenant"))
            }
        }
    }

    fn of(&self, flag: &Value, key: &str, layer: &'static str) -> Answer {
        let variants = variants_of(flag);
        let rules = flag["rules"].as_array().cloned().unwrap_or_default();
        let default = flag["default_variant"].as_str().map(str::to_owned);
        let default =
            default.unwrap_or_else(|| if rules.is_empty() { "on" } else { "off" }.to_owned());
        let off = match flag["off_variant"].as_str() {
            Some(off) => off.to_owned(),
            None => named(&variants, &json!(false)).unwrap_or_else(|| default.clone()),
        };
        if flag["enabled"] == json!(false) || !self.current(flag) {
            return Ok((off, "DISABLED", layer));
        }
        for needed in flag["prerequisites"]
            .as_array()
            .cloned()
            .unwrap_or_default()
        {
            if !self.met(&needed, layer)? {
                return Ok((off, "DISABLED", layer));
            }
        }
        for rule in &rules {
            if self.current(rule) && self.matches(rule) {
                let everyone = rule["rollout"].is_null() || rule["rollout"] == json!(100);
                if !everyone {
                    let who = self.targeting_key.ok_or("no targeting key")?;
                    let bucket = normalized_hash(key, who, 100, 0).unwrap();
                    if u64::from(bucket) > rule["rollout"].as_u64().unwrap() {
                        continue;
                    }
                }
                if let Some(weights) = rule["weights"].as_array() {
                    let who = self.targeting_key.ok_or("no targeting key")?;
                    return Ok((drawn(weights, key, who), "SPLIT", layer));
                }
                let served = rule["variant"].as_str().unwrap_or("on").to_owned();
                let reason = if everyone { "TARGETING_MATCH" } else { "SPLIT" };
                return Ok((served, reason, layer));
            }
        }
        Ok((
            default,
            if rules.is_empty() {
                "STATIC"
            } else {
                "DEFAULT"
            },
            layer,
        ))
    }

    fn met(&self, needed: &Value, layer: &str) -> Result<bool, &'static str> {
        let key = needed["flag"].as_str().unwrap();
        let answer = if layer == "system" {
            match self.system.get(key) {
                None => Err("not found"),
                Some(None) => Err("damaged system"),
                Some(Some(flag)) => self.of(flag, key, "system"),
            }
        } else {
            self.answer(key)
        };
        let (variant, _, by) = match answer {
            Err("not found") => return Ok(false),
            Err(error) => return Err(error),
            Ok(answer) => answer,
        };
        match needed["variants"].as_array() {
            Some(wanted) => Ok(wanted.contains(&json!(variant))),
            None => {
                let layer = if by == "system" {
                    self.system
                } else {
                    self.tenant
                };
                let flag = layer[key].as_ref().unwrap();
                Ok(variants_of(flag)[&variant] == json!(true))
            }
        }
    }

    fn current(&self, dated: &Value) -> bool {
        // RFC 3339 times of one form are in the order of their texts.
        let begun = dated["from"].as_str().is_none_or(|from| from <= self.now);
        begun && dated["until"].as_str().is_none_or(|until| self.now < until)
    }

    fn matches(&self, rule: &Value) -> bool {
        let constraints = rule["when"].as_array().cloned().unwrap_or_default();
        constraints.iter().all(|constraint| {
            let listed = self.plan.is_some_and(|plan| {
                let values = constraint["values"].as_array().unwrap();
                values.contains(&json!(plan))
            });
            listed == (constraint["op"] == json!("in"))
        })
    }
}

fn variants_of(flag: &Value) -> serde_json::Map<String, Value> {
    let implied = json!({"on": true, "off": false});
    let variants = flag["variants"].as_object().or(implied.as_object());
    variants.unwrap().clone()
}

fn is_boolean(flag: &Value) -> bool {
    variants_of(flag).values().all(Value::is_boolean)
}

fn on(flag: &Value, answer: &Answer) -> bool {
    let (variant, _, _) = answer.as_ref().unwrap();
    variants_of(flag)[variant] == json!(true)
}

fn named(variants: &serde_json::Map<String, Value>, value: &Value) -> Option<String> {
    let found = variants.iter().find(|(_, its)| *its == value);
    found.map(|(name, _)| name.clone())
}

fn drawn(weights: &[Value], key: &str, who: &str) -> String {
    let weight = |one: &Value| u32::try_from(one["weight"].as_u64().unwrap()).unwrap();
    let total = weights.iter().map(weight).sum();
    let mut left = normalized_hash(key, who, total, 86_028_157).unwrap();
    for one in weights {
        if left <= weight(one) {
            return one["variant"].as_str().unwrap().to_owned();
        }
        left -= weight(one);
    }
    unreachable!("the weights make up the total")
}
