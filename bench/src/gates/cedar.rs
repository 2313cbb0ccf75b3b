//! The same question to Cedar: seven policies that look at the same state.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use serde_json::json;

/// One policy for each gate but the budget, and the permission that they restrict.
const POLICIES: &str = r#"
permit(principal, action, resource) when { context.role_rank >= 1 };
forbid(principal, action, resource)
    when { context.kill_switch.engaged && context.action like "media.*" };
forbid(principal, action, resource)
    when { context.action like "nexus.*" }
    unless { context.licence.granted && context.licence.not_after > context.now };
forbid(principal, action, resource)
    when { context.action like "pricing.*" && !context.lock.opens };
forbid(principal, action, resource)
    when { context.action like "pricing.*" && context.lock.approvals < context.lock.quorum };
forbid(principal, action, resource)
    when { context.action like "nexus.*"
        && (context.kpi.value < context.kpi.floor || context.now - context.kpi.as_of > context.kpi.max_age) };
forbid(principal, action, resource)
    when { context.action like "nexus.*" && context.temperature.score > context.temperature.ceiling };
"#;

pub(super) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    request: Request,
}

impl Cedar {
    pub(super) fn new() -> Result<Self> {
        let context = json!({
            "action": "nexus.cards.create", "now": 1_000_000, "role_rank": 1,
            "kill_switch": {"engaged": true},
            "licence": {"granted": true, "not_after": 2_000_000},
            "lock": {"opens": false, "approvals": 0, "quorum": 1},
            "kpi": {"value": 2, "floor": 1, "as_of": 999_990, "max_age": 86_400},
            "temperature": {"score": 20, "ceiling": 50},
        });
        let uid = |text: &str| EntityUid::from_str(text).map_err(|error| anyhow!("{error}"));
        let request = Request::new(
            uid(r#"User::"u_bench""#)?,
            uid(r#"Action::"nexus.cards.create""#)?,
            uid(r#"Tenant::"t_1""#)?,
            Context::from_json_value(context, None)?,
            None,
        )?;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(POLICIES)?,
            entities: Entities::empty(),
            request,
        })
    }

    pub(super) fn decide(&self) -> Result<()> {
        let answer = self
            .authorizer
            .is_authorized(&self.request, &self.policies, &self.entities);
        if answer.decision() != Decision::Allow || answer.diagnostics().errors().next().is_some() {
            bail!("cedar did not let pass: {answer:?}");
        }
        Ok(())
    }
}
