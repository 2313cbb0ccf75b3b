//! Durable audit records by many writers, beside a raw append+fdatasync loop.
//!
//! A round of ours ends when everything that was acknowledged in it is in its
//! tree and under a signed checkpoint, and the time for that counts. So the
//! Merkle work of a round is in its own figure and never in the baseline's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use audit::{DatasetEvent, service::Audit};
use identity::{TenantId, UserId};

use super::{
    tending::Tending,
    world::{Installation, Scribe, record},
};
use crate::{
    append::{Appender, Side, WRITERS, drive, raw::RawLog},
    stats::median_ratio,
    table::Row,
};

const TENANTS: usize = 1000;
/// Long enough for some epochs each.
const ROUND: Duration = Duration::from_millis(2500);
const ROUNDS: usize = 10;
const TARGET: f64 = 0.4;

/// Writers of a tenant's users, each over its share of the tenants.
struct Records {
    audit: Arc<Audit>,
    scribe: Scribe,
    users: Vec<(TenantId, UserId)>,
}

impl Records {
    fn new(audit: Arc<Audit>) -> Result<Self> {
        let user = |at| Ok((format!("t_{at:04}").parse()?, format!("u_{at:04}").parse()?));
        Ok(Self {
            audit,
            scribe: Scribe::new()?,
            users: (0..TENANTS).map(user).collect::<Result<_>>()?,
        })
    }

    fn event(&self, at: usize, n: u64) -> Result<DatasetEvent> {
        let (tenant, user) = self.users.get(at).context("a tenant")?;
        Ok(self.scribe.by_user(tenant.clone(), user.clone(), n))
    }

    /// The bytes that a record has in the store.
    fn body_bytes(&self) -> Result<usize> {
        use audit::seal::{SubjectKey, seal};
        let event = self.event(0, 0)?;
        let entropy = crate::ambient::SystemEntropy;
        let keys = event.subjects().into_iter().map(|subject| {
            let key = Arc::new(SubjectKey::generate(&entropy));
            (subject.clone(), key)
        });
        let keys = keys.collect();
        Ok(seal(&event, &keys, &entropy)?.encode()?.len())
    }
}

#[async_trait]
impl Appender for Records {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        let share = TENANTS / WRITERS;
        let at = writer * share + n as usize % share;
        record(&self.audit, self.event(at, n)?).await
    }
}

/// Measures in interleaved rounds.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let folder = crate::ambient::scratch()?;
    let opened = Installation::open(&folder.path().join("audit")).await?;
    let records = Arc::new(Records::new(Arc::clone(&opened.audit))?);
    let bytes = records.body_bytes()?;
    let raw = Arc::new(RawLog::create(&folder.path().join("raw"), bytes)?);
    begin(&records).await?;
    let (mut raw_side, mut ours) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        let started = Instant::now();
        let driven = drive(raw.clone(), WRITERS, round, ROUND).await?;
        raw_side.enter(&driven, started.elapsed());
        let epochs = opened.epochs()?;
        let started = Instant::now();
        let tending = Tending::begin(Arc::clone(&opened.audit));
        let driven = drive(records.clone(), WRITERS, round, ROUND).await?;
        let appending = started.elapsed();
        tending.finish().await?;
        ours.enter(&driven, started.elapsed());
        opened.check()?;
        eprintln!(
            "audit: {} records in {appending:.1?}, in their trees after {:.1?}, {} epochs",
            driven.acknowledged,
            started.elapsed(),
            opened.epochs()? - epochs,
        );
    }
    let ratio = median_ratio(&ours.rates, &raw_side.rates);
    let raw_what = format!("raw append+fdatasync, {WRITERS} writers, {bytes} bytes");
    let what = format!("audit records, {WRITERS} writers over {TENANTS} tenants, trees and epochs");
    opened.close().await;
    Ok(vec![
        raw_side.row("audit", raw_what),
        ours.row("audit", what).compared(ratio, Some(TARGET)),
    ])
}

/// Each tenant's first record gives it a slot and its user a key, once in its life.
async fn begin(records: &Arc<Records>) -> Result<()> {
    let started = Instant::now();
    for at in 0..TENANTS {
        record(&records.audit, records.event(at, u64::MAX)?).await?;
    }
    records.audit.turn().await;
    eprintln!(
        "audit: {TENANTS} tenants began in {:.1?}",
        started.elapsed()
    );
    Ok(())
}
