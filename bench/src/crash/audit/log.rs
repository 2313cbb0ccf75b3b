//! What a tenant's log holds: listed by the server, and exported for a stranger.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use ::audit::{
    Checkpoint, Continuity, Leaf, Phase, Signers, Trust, TrustFile,
    export::Line,
    signer::origin_of_secret,
    verify::{self, Report},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{server::Member, wire::http::Connection};

const PAGE: usize = 1000;

/// One record, as far as the drill looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) request: String,
    /// The intent that it concludes.
    pub(super) concludes: Option<u64>,
    /// How it ended; `None` for an intent.
    pub(super) outcome: Option<String>,
}

/// Records by their place.
pub(super) type Items = BTreeMap<u64, Item>;

impl Item {
    fn listed(record: &Value) -> Result<(u64, Self)> {
        let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| record.get(name).and_then(Value::as_u64);
        let seq = number("seq").with_context(|| format!("no seq in {record}"))?;
        let item = Self {
            request: text("request_id").with_context(|| format!("no request in {record}"))?,
            concludes: number("intent"),
            outcome: text("outcome"),
        };
        Ok((seq, item))
    }

    fn exported(leaf: &[u8]) -> Result<Self> {
        let leaf = Leaf::parse(leaf)?;
        let (concludes, outcome) = match &leaf.phase {
            Phase::Intent => (None, None),
            Phase::Outcome { intent, outcome } => (Some(intent.get()), Some(outcome)),
            Phase::Event(outcome) => (None, Some(outcome)),
        };
        Ok(Self {
            request: leaf.request_id.to_string(),
            concludes,
            outcome: outcome.map(ToString::to_string),
        })
    }
}

/// The records of the member's tenant after `after`, page by page.
///
/// # Errors
/// When the server refuses or answers nonsense.
pub(super) fn list(addr: SocketAddr, member: &Member, after: u64) -> Result<Items> {
    let mut connection = Connection::open(addr)?;
    let mut items = Items::new();
    let mut after = after.to_string();
    loop {
        let path = format!("/audit/events?limit={PAGE}&after={after}");
        let page = connection.call("GET", &path, &member.headers(), "")?;
        let page = page.json(200)?;
        let records = page.get("items").and_then(Value::as_array);
        for record in records.with_context(|| format!("no items in {page}"))? {
            let (seq, item) = Item::listed(record)?;
            items.insert(seq, item);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = next.to_owned(),
            None => return Ok(items),
        }
    }
}

/// What a stranger trusts who was given the public key.
///
/// # Errors
/// When the data folder has no signing key.
pub(super) fn trust(data: &Path) -> Result<Trust> {
    let secret = fs::read_to_string(data.join("secrets/audit-signing.key"))?;
    let origin = origin_of_secret(&secret).context("the signing key names an origin")?;
    let signers = Signers::from_secrets(origin, &[secret.as_bytes()])?;
    let file = TrustFile {
        origin: signers.origin().to_string(),
        keys: signers.verifier_keys().to_vec(),
        tenant: None,
        env: None,
        slot: None,
    };
    Ok(Trust::new(file)?)
}

/// The records `from` to `to`, verified, with the proof that the log continues `known`.
///
/// # Errors
/// When the server refuses, or what it gives does not verify.
pub(super) fn export(
    addr: SocketAddr,
    member: &Member,
    (from, to): (u64, u64),
    trust: &Trust,
    known: Option<&Checkpoint>,
) -> Result<(Report, Items)> {
    let since = known.map(|known| known.size);
    let body = json!({"from": from, "to": to, "since": since}).to_string();
    let mut connection = Connection::open(addr)?;
    let response = connection.call("POST", "/audit/export", &member.headers(), &body)?;
    let said = response.body;
    if response.status != 200 {
        bail!("no export: {}", String::from_utf8_lossy(&said));
    }
    let report = verify::export(said.as_slice(), trust, known)?;
    let expected = match known {
        None => report.continuity == Continuity::FirstSeen,
        Some(_) => matches!(report.continuity, Continuity::Same | Continuity::Extends),
    };
    ensure!(
        expected,
        "{known:?} is not continued: {:?}",
        report.continuity
    );
    ensure!(
        report.tenant.as_str() == member.tenant,
        "it is of {}",
        report.tenant
    );
    let mut items = Items::new();
    for line in said
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        if let Line::Record(record) = serde_json::from_slice(line)? {
            items.insert(record.seq.get(), Item::exported(record.leaf.as_bytes())?);
        }
    }
    Ok((report, items))
}
