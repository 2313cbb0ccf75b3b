//! The budgets that the cards are paid from.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{server::Member, wire::http::Connection};

const PATH: &str = "/gates/budgets/crash";
const PRICE: u64 = 7;
/// Of the first tenant, and of the others: the one is never used up, the other is in the first
/// rounds, and is no multiple of the price.
const LIMITS: [u64; 2] = [1_000_000_000_000, 200 * PRICE + 3];
/// How long the leases of killed processes may hold a part of a budget: they last 30 seconds.
const LEASES_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(500);

fn limit(at: usize) -> u64 {
    let [first, others] = LIMITS;
    if at == 0 { first } else { others }
}

/// Gives a tenant its budget.
///
/// # Errors
/// When the server refuses.
pub(super) fn set(addr: SocketAddr, member: &Member, at: usize) -> Result<()> {
    let row = json!({
        "action": "nexus.cards.create",
        "limit_micros": limit(at),
        "price_micros": PRICE,
        "window": "total",
    });
    let mut connection = Connection::open(addr)?;
    let response = connection.call("PUT", PATH, &member.headers(), &row.to_string())?;
    let status = response.status;
    response.json(status).map(drop)?;
    anyhow::ensure!(matches!(status, 200 | 201), "{PATH}: {status}");
    Ok(())
}

/// What was spent, and what is reserved.
fn read(connection: &mut Connection, member: &Member) -> Result<(u64, u64)> {
    let row = connection.call("GET", PATH, &member.headers(), "")?;
    let row = row.json(200)?;
    let figure = |name: &str| row.get(name).and_then(Value::as_u64);
    let figures = figure("spent_micros").zip(figure("reserved_micros"));
    figures.with_context(|| format!("no figures in {row}"))
}

/// A finding when more is spent and reserved than there is.
///
/// # Errors
/// When the server refuses.
pub(super) fn overspent(addr: SocketAddr, member: &Member, at: usize) -> Result<Option<String>> {
    let (spent, reserved) = read(&mut Connection::open(addr)?, member)?;
    let over = spent + reserved > limit(at);
    Ok(over.then(|| format!("{}: {spent} spent and {reserved} reserved", member.tenant)))
}

/// A finding when, after all leases, anything else was spent than what `made` cards cost.
///
/// # Errors
/// When the server refuses.
pub(super) fn reconcile(
    addr: SocketAddr,
    member: &Member,
    at: usize,
    made: u64,
) -> Result<Option<String>> {
    let (end, cost) = (Instant::now() + LEASES_MAX, made * PRICE);
    let mut connection = Connection::open(addr)?;
    loop {
        let (spent, reserved) = read(&mut connection, member)?;
        if reserved == 0 && spent == cost && spent <= limit(at) {
            return Ok(None);
        }
        if Instant::now() > end {
            let tenant = &member.tenant;
            let found = format!("{spent} spent and {reserved} reserved");
            return Ok(Some(format!("{tenant}: {made} cards cost {cost}, {found}")));
        }
        thread::sleep(POLL);
    }
}
