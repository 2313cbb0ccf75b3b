//! Lists and searches: one tenant that grows, and many small ones.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use identity::Scope;
use nexus::{
    Card,
    search::{Asked, Asking, Freshness},
};
use store::{PageCursor, PageRequest};

use super::{SUBJECT, house::House};
use crate::{ambient::scratch, scope::Guests, stats::Latencies, table::Row};

/// Records of the tenant that grows.
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Small tenants, and the records of each.
const TENANTS: usize = 10_000;
const EACH: usize = 100;
/// Small tenants are filled at the same time, so many at once.
const FILLED_AT_ONCE: usize = 8;
const LOOKS: usize = 200;
const PAGE: usize = 100;
const HITS: usize = 20;
/// How long an index may take to be built.
const BUILD_MAX: Duration = Duration::from_secs(600);

/// Measures both.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let mut rows = growing().await?;
    rows.extend(many().await?);
    Ok(rows)
}

async fn growing() -> Result<Vec<Row>> {
    let folder = scratch()?;
    let house = House::open(folder.path())?;
    let scope = Guests::new()?.scope("t_large").await?;
    let (mut rows, mut made) = (Vec::new(), 0);
    for size in SIZES {
        eprintln!("nexus: one tenant grows to {size} records");
        let filling = Instant::now();
        house.fill(&scope, made, size).await?;
        made = size;
        let building = Instant::now();
        until_current(&house, &scope).await?;
        let built = building.elapsed();
        eprintln!(
            "nexus: made in {:.1?}, in the index after another {built:.1?}",
            building.duration_since(filling)
        );
        rows.push(row(
            &format!("list, a page of {PAGE} of {size} records"),
            &lists(&house, &scope).await?,
            "",
        ));
        let built = format!(", index level after {:.1} s", built.as_secs_f64());
        for (kind, text) in [("a frequent word", "plan"), ("a rare one", "item7")] {
            let what = format!("search, {kind} among {size} records");
            rows.push(row(&what, &searches(&house, &scope, text).await?, &built));
        }
    }
    house.close().await;
    Ok(rows)
}

/// Searches until the index knows all that there is.
async fn until_current(house: &House, scope: &Scope) -> Result<()> {
    let end = Instant::now() + BUILD_MAX;
    let asked = asked("plan")?;
    while Instant::now() < end {
        let found = house.search.search(scope, &asked).await?;
        if found.lag.state == Freshness::Current {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the index is not level after {BUILD_MAX:?}")
}

fn asked(text: &str) -> Result<Asked> {
    Ok(Asked::parse(&Asking {
        text,
        kind: None,
        tag: None,
        after: None,
        limit: Some(HITS),
    })?)
}

/// Pages one after the other, from the beginning again after the last.
async fn lists(house: &House, scope: &Scope) -> Result<Latencies> {
    let records = house.nexus.records::<Card>();
    let mut latencies = Latencies::new();
    let mut after: Option<PageCursor> = None;
    for _ in 0..LOOKS {
        let page = PageRequest::new(after, Some(PAGE))?;
        let started = Instant::now();
        let page = records.list(scope, &page).await?;
        latencies.record(started.elapsed());
        ensure!(!page.items.is_empty(), "an empty page");
        after = page.next().map(|next| next.parse()).transpose()?;
    }
    Ok(latencies)
}

async fn searches(house: &House, scope: &Scope, text: &str) -> Result<Latencies> {
    let asked = asked(text)?;
    let mut latencies = Latencies::new();
    for _ in 0..LOOKS {
        let started = Instant::now();
        let found = house.search.search(scope, &asked).await?;
        latencies.record(started.elapsed());
        ensure!(!found.items.is_empty(), "nothing is found");
    }
    Ok(latencies)
}

async fn many() -> Result<Vec<Row>> {
    let folder = scratch()?;
    let house = Arc::new(House::open(folder.path())?);
    eprintln!("nexus: {TENANTS} tenants get {EACH} records each");
    let guests = Guests::new()?;
    let mut scopes = Vec::with_capacity(TENANTS);
    for tenant in 0..TENANTS {
        scopes.push(guests.scope(&format!("t_{tenant:05}")).await?);
    }
    let scopes = Arc::new(scopes);
    let fillers = (0..FILLED_AT_ONCE).map(|first| {
        let (house, scopes) = (house.clone(), scopes.clone());
        tokio::spawn(async move {
            for scope in scopes.iter().skip(first).step_by(FILLED_AT_ONCE) {
                house.fill(scope, 0, EACH).await?;
            }
            anyhow::Ok(())
        })
    });
    for filler in fillers.collect::<Vec<_>>() {
        filler.await??;
    }
    let (mut first, mut again, mut lists) = (Latencies::new(), Latencies::new(), Latencies::new());
    let records = house.nexus.records::<Card>();
    let (page, asked) = (PageRequest::new(None, Some(PAGE))?, asked("plan")?);
    for scope in scopes.iter().step_by(TENANTS / LOOKS) {
        let started = Instant::now();
        records.list(scope, &page).await?;
        lists.record(started.elapsed());
        for latencies in [&mut first, &mut again] {
            let started = Instant::now();
            let found = house.search.search(scope, &asked).await?;
            latencies.record(started.elapsed());
            ensure!(!found.items.is_empty(), "nothing is found");
        }
    }
    let open = house.search.open();
    let rows = vec![
        row(&format!("list, over {TENANTS} tenants"), &lists, ""),
        row(
            &format!("search, the first of a tenant of {TENANTS}: its index is made"),
            &first,
            &format!(", {open} indexes open"),
        ),
        row("search, the second", &again, ""),
    ];
    let house = Arc::into_inner(house).context("nobody else has the house")?;
    house.close().await;
    Ok(rows)
}

fn row(what: &str, latencies: &Latencies, more: &str) -> Row {
    let (p50, p99) = (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99));
    let figure = format!("{p50:.2} ms");
    Row::new(SUBJECT, what, figure, format!("p99 {p99:.2} ms{more}"))
}
