//! A tenant beside its threads: cards that pass the gates, and the audit log of everything.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::{
    account::{Account, Card},
    writer::{Deed, Writer, Written},
};
use crate::{server::Member, wire::http::Connection};

const PAGE: usize = 1000;
/// How long a log may take until a checkpoint covers it, after the nodes have changed.
const EXPORT_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(500);

/// A tenant, and who makes cards in it.
pub(super) struct House {
    pub(super) member: Member,
    /// What the titles of its cards begin with.
    own: String,
    maker: JoinHandle<Result<Written>>,
}

impl House {
    /// Signs its owner up, and makes cards until `stop`.
    ///
    /// # Errors
    /// When the sign-up is refused.
    pub(super) fn open(tenant: usize, proxy: SocketAddr, stop: &Arc<AtomicBool>) -> Result<Self> {
        let member = Member::sign_up(proxy, &format!("t{tenant}@cluster.example"))?;
        let own = format!("t{tenant}.");
        let maker = Writer {
            proxy,
            member: member.clone(),
            deed: Deed::Card,
            name: format!("{own}card"),
        };
        let stop = Arc::clone(stop);
        Ok(Self {
            member,
            own,
            maker: thread::spawn(move || maker.write(&stop)),
        })
    }

    /// Once the maker has stopped, compares what was acknowledged with what every node lists.
    ///
    /// # Errors
    /// When the maker was refused or not answered in time, or a node refuses.
    pub(super) fn settle(self, nodes: &[SocketAddr], account: &mut Account) -> Result<usize> {
        let made = self
            .maker
            .join()
            .map_err(|_| anyhow!("a maker panicked"))??;
        account.acked += made.acked.len();
        for node in nodes {
            let held = list(*node, &self.member)?;
            account.check_cards(&self.own, &made.acked, &held);
        }
        Ok(made.again)
    }
}

/// All cards of the member's tenant, page by page.
fn list(node: SocketAddr, member: &Member) -> Result<Vec<Card>> {
    let mut connection = Connection::open(node)?;
    let mut cards = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/nexus/cards?limit={PAGE}{after}");
        let page = connection.call("GET", &path, &member.headers(), "")?;
        let page = page.json(200)?;
        let items = page.get("items").and_then(Value::as_array);
        for item in items.with_context(|| format!("no items in {page}"))? {
            let text = |name: &str| item.get(name).and_then(Value::as_str);
            let card = text("title").zip(text("id")).context("title and id")?;
            cards.push((card.0.to_owned(), card.1.to_owned()));
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(cards),
        }
    }
}

/// Exports the member's audit log from `node` into `folder`, and lets `tenantry audit verify` look at it.
///
/// # Errors
/// When there is no export in time, or it does not verify.
pub(super) fn verify_audit(
    binary: &Path,
    node: SocketAddr,
    member: &Member,
    (folder, trust): (&Path, &Path),
) -> Result<()> {
    let end = Instant::now() + EXPORT_MAX;
    let export = loop {
        let mut connection = Connection::open(node)?;
        let answer = connection.call("POST", "/audit/export", &member.headers(), "{}")?;
        if answer.status == 200 {
            break answer.body;
        }
        let said = String::from_utf8_lossy(&answer.body);
        ensure!(Instant::now() < end, "no export: {} {said}", answer.status);
        thread::sleep(POLL);
    };
    let file = folder.join(format!("{}.jsonl", member.tenant));
    fs::write(&file, export)?;
    let mut verify = Command::new(binary);
    verify.args(["audit", "verify"]).arg(&file);
    let verified = verify.arg("--trust").arg(trust).output()?;
    let said = String::from_utf8_lossy(&verified.stderr);
    ensure!(verified.status.success(), "{}: {said}", file.display());
    Ok(())
}

/// Writes what a stranger trusts who was given the public half of the key in `secret`.
///
/// # Errors
/// When `tenantry audit trust` refuses.
pub(super) fn trust(binary: &Path, secret: &Path, file: &Path) -> Result<()> {
    let mut trust = Command::new(binary);
    let key = format!("file:{}", secret.display());
    let told = trust.args(["audit", "trust", &key]).output()?;
    let said = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "audit trust: {said}");
    Ok(fs::write(file, told.stdout)?)
}
