//! Erasures on other nodes: what a node remembers of a person's keys, and what its tails
//! have shown, is forgotten when another node destroys them.
//!
//! A node trusts what it remembers only while it has just read which erasures there were. An
//! erasure is over when that time has passed: then every node, whatever it can reach, has
//! heard of it or asks the store for each key.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use identity::TenantId;
use parking_lot::Mutex;
use store::{Cursor, READ_EVENTS_MAX, Read, StoreError};
use tokio::{sync::Mutex as Turns, time::Instant};

use super::{super::Audit, Nodes, announce::tell};

/// For how long after a look at the erasures what is remembered is trusted.
const FRESH_FOR: Duration = Duration::from_secs(3);
/// How long the other nodes may take to be told.
const TELL_MAX: Duration = Duration::from_secs(2);
/// How long an erasure is told of; who is further behind forgets everything.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// When the erasures were looked at last.
#[derive(Default)]
pub(in super::super) struct Fresh(Mutex<Option<Instant>>);

impl Fresh {
    /// Whether what is remembered can be trusted.
    pub(in super::super) fn is_fresh(&self) -> bool {
        let at = *self.0.lock();
        at.is_some_and(|at| at.elapsed() < FRESH_FOR)
    }
}

/// What was heard.
#[derive(Default)]
pub(in super::super) struct Hearing {
    heard: Turns<Heard>,
    pub(in super::super) fresh: Arc<Fresh>,
    /// Tenants of whose erasures the other nodes could not be told yet.
    untold: Mutex<BTreeSet<TenantId>>,
}

#[derive(Default)]
struct Heard {
    cursor: Option<Cursor>,
    /// What was heard by then is removed some day.
    mark: Option<(Instant, u64)>,
    /// Whether tails were ended because nothing could be heard.
    deaf: bool,
}

impl Audit {
    /// Hears which erasures there were on other nodes.
    pub(in super::super) async fn hear(&self) {
        let Some(nodes) = &self.nodes else {
            return;
        };
        let mut heard = nodes.hearing.heard.lock().await;
        let began = Instant::now();
        match self.read_erasures(&mut heard).await {
            Ok(()) => {
                *nodes.hearing.fresh.0.lock() = Some(began);
                heard.deaf = false;
                self.remove_told(&mut heard).await;
                self.tell_untold(nodes).await;
            }
            Err(error) => {
                tracing::warn!(%error, "erasures on other nodes are heard of later");
                if !heard.deaf && !nodes.hearing.fresh.is_fresh() {
                    heard.deaf = true;
                    self.erasures.tell_all();
                }
            }
        }
    }

    async fn read_erasures(&self, heard: &mut Heard) -> Result<(), StoreError> {
        let stream = self.layout.erased();
        loop {
            let Some(cursor) = heard.cursor else {
                heard.cursor = Some(self.events.bounds(&stream).await?.at_head());
                self.subjects.forget(None);
                self.erasures.tell_all();
                continue;
            };
            let read = self.events.read(&stream, Some(cursor), READ_EVENTS_MAX);
            let Read::Page { events, .. } = read.await? else {
                heard.cursor = None;
                continue;
            };
            for event in &events {
                heard.cursor = Some(event.cursor);
                match std::str::from_utf8(&event.body).ok().map(str::parse) {
                    Some(Ok(tenant)) => self.forget_erased(&tenant),
                    _ => tracing::error!(cursor = %event.cursor, "no tenant's name"),
                }
            }
            if events.is_empty() {
                return Ok(());
            }
        }
    }

    /// Forgets the keys of a tenant's persons, and what its tails have shown.
    pub(in super::super) fn forget_erased(&self, tenant: &TenantId) {
        self.subjects.forget(Some(tenant));
        self.erasures.tell(tenant);
    }

    /// Removes what every node had time to hear.
    async fn remove_told(&self, heard: &mut Heard) {
        let (Some(cursor), true) = (heard.cursor, self.leads()) else {
            return;
        };
        let now = Instant::now();
        let (at, seq) = *heard.mark.get_or_insert((now, cursor.seq));
        if now.duration_since(at) >= KEPT_FOR {
            heard.mark = None;
            // What cannot be removed now is removed with what comes later.
            let _ = self.events.trim(&self.layout.erased(), seq).await;
        }
    }

    async fn tell_untold(&self, nodes: &Nodes) {
        let untold: Vec<TenantId> = nodes.hearing.untold.lock().iter().cloned().collect();
        for tenant in untold {
            // It is tried again.
            let _ = self.tell_erased(&tenant).await;
        }
    }

    /// Tells the other nodes that someone was erased in `tenant`; it is tried again until
    /// it is done.
    pub(in super::super) async fn tell_erased(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let Some(nodes) = &self.nodes else {
            return Ok(());
        };
        nodes.hearing.untold.lock().insert(tenant.clone());
        let (stream, body) = (self.layout.erased(), tenant.as_str().as_bytes().to_vec());
        let telling = tell(&*self.events, &stream, body, &*self.clock);
        let late = |_| Err(StoreError::Unavailable("it takes too long".to_owned()));
        tokio::time::timeout(TELL_MAX, telling)
            .await
            .unwrap_or_else(late)?;
        nodes.hearing.untold.lock().remove(tenant);
        Ok(())
    }

    /// Waits until no node trusts what it remembered before now.
    pub(in super::super) async fn forgotten_everywhere(&self) {
        if self.nodes.is_some() {
            tokio::time::sleep(FRESH_FOR).await;
        }
    }
}
