//! The guard with its memberships on Firestore: looked up for the first time, and remembered.
//!
//! A remembered membership is believed for two seconds at most, so the rounds over HTTP have lookups in them, as
//! a server's day has. What one lookup costs is shown beside one read by the bare client.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, anyhow};
use engine_embedded::Embedded;
use identity::{Credential, Guard, Presented, RequestIds, Selector};

use super::{
    Subject, load_all, rows, serve,
    standing::{self, House},
};
use crate::{
    ambient::{SystemClock, SystemEntropy, scratch},
    cloud::Project,
    documents::Bare,
    server::Member,
    stats::{Latencies, median, median_ratio},
    table::{Row, per_second},
};

identity::action!(Enter, "bench.enter", Viewer);

const LOOKUP_ROUNDS: usize = 30;
/// Lookups of a round, one after the other.
const LOOKUPS: usize = 20;

/// Measures the guarded route, then single lookups, each beside its baseline.
///
/// # Errors
/// When there is no emulator, or somebody is refused.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let project = Project::fresh()?;
    // Connections to Firestore live as long as the runtime that made them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let folder = scratch()?;
    // Rates are counted for the sign-up alone.
    let rates = Embedded::open(
        folder.path(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    )?;
    let house = runtime
        .block_on(async { standing::found(project.documents().await?, rates.throttle()).await })?;
    let mut subjects = [
        Subject::new(
            "bare actix handler",
            serve::bare()?,
            &house.member,
            serve::PATH,
        ),
        Subject::new(
            "guarded, memberships on Firestore and remembered",
            serve::guarded(house.guard.clone())?,
            &house.member,
            serve::PATH,
        ),
    ];
    load_all(&mut subjects)?;
    let mut table = rows(&subjects);
    table.extend(runtime.block_on(lookups(&project, &house))?);
    Ok(table)
}

/// Admissions, or reads, one after the other.
struct Side {
    rates: Vec<f64>,
    latencies: Latencies,
}

impl Side {
    fn new() -> Self {
        Self {
            rates: Vec::new(),
            latencies: Latencies::new(),
        }
    }

    /// Takes the steps of a round, one after the other.
    async fn round<S: Future<Output = Result<()>>>(
        &mut self,
        steps: impl Iterator<Item = S>,
    ) -> Result<()> {
        let (started, mut taken) = (Instant::now(), 0_u32);
        for step in steps {
            let began = Instant::now();
            step.await?;
            self.latencies.record(began.elapsed());
            taken += 1;
        }
        let elapsed = started.elapsed().as_secs_f64();
        self.rates.push(f64::from(taken) / elapsed);
        Ok(())
    }

    fn row(&self, what: &str) -> Row {
        let [p50, p99] = [0.5, 0.99].map(|quantile| self.latencies.quantile_ms(quantile));
        let rate = per_second(median(self.rates.iter().copied()));
        Row::new(
            "guard",
            what,
            rate,
            format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
        )
    }
}

async fn lookups(project: &Project, house: &House) -> Result<Vec<Row>> {
    let bare = Bare::open(project).await?;
    bare.put("read").await?;
    let (mut read, mut cold, mut warm) = (Side::new(), Side::new(), Side::new());
    eprintln!("guard: {LOOKUP_ROUNDS} rounds of lookups");
    for _ in 0..LOOKUP_ROUNDS {
        // They are put together before, because that takes longer than what they are asked.
        let forgetful = (0..LOOKUPS).map(|_| house.forgetful());
        let forgetful: Vec<_> = forgetful.collect::<Result<_>>()?;
        let ask = |guard| admit(guard, &house.member);
        read.round((0..LOOKUPS).map(|_| bare.read("read"))).await?;
        cold.round(forgetful.iter().map(|guard| ask(guard))).await?;
        ask(&house.guard).await?;
        warm.round((0..LOOKUPS).map(|_| ask(&house.guard))).await?;
    }
    let compared = |what: &str, side: &Side| {
        side.row(what)
            .compared(median_ratio(&side.rates, &read.rates), None)
    };
    Ok(vec![
        read.row("one document read by the bare client, 1 task"),
        compared("admission, nothing remembered, 1 task", &cold),
        compared("admission, remembered, 1 task", &warm),
    ])
}

async fn admit(guard: &Guard, member: &Member) -> Result<()> {
    let ids = RequestIds::from_headers(None, None, &SystemEntropy);
    let presented = Presented {
        credential: Credential::Bearer(&member.token),
        selectors: [
            Selector::One(&member.tenant),
            Selector::One("dev"),
            Selector::One(&member.project),
            Selector::Absent,
            Selector::Absent,
        ],
        mentions: Vec::new(),
        stream: None,
        ids: &ids,
    };
    let admitted = guard.admit::<Enter>(&presented).await;
    admitted
        .map(drop)
        .map_err(|refusal| anyhow!("the guard refused: {refusal:?}"))
}
