//! Canvases over the engines, without HTTP.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use canvas::{
    CanvasConfig, CanvasDeps, CanvasError, CanvasService, CommandBatch, Identity, Mode, Sent,
};
use engine_embedded::Embedded;
use identity::{Guard, Recording, Scope, SystemAuthority};
use realtime::{
    CanvasKey, LimitsConfig, NewCanvas, Realtime, RealtimeConfig, RealtimeDeps, Tickets,
};
use serde_json::{Value, json, value::RawValue};
use store::{Documents, EventLog, Quota, Throttle};

use crate::{
    ambient::{SystemClock, SystemEntropy},
    append::{Appender, WRITERS},
    scope::{OpenHouse, issuer, of_one_tenant},
};

/// No rate of a tenant is measured.
const UNLIMITED: Quota = Quota {
    burst: NonZeroU32::MAX,
    per_second: NonZeroU32::MAX,
};

/// What canvases are kept in.
pub(super) struct Engines {
    pub(super) documents: Arc<dyn Documents>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) throttle: Arc<dyn Throttle>,
}

/// Canvases on a node, and who changes them.
pub(super) struct House {
    pub(super) service: CanvasService,
    pub(super) scope: Scope,
    /// Batches that were refused because other nodes were faster, and were sent again.
    pub(super) contended: AtomicU64,
}

impl House {
    /// Opens one in `folder`, and the engine that it stands on.
    pub(super) async fn open(folder: &Path) -> Result<(Self, Embedded)> {
        let engine = Embedded::open(folder, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
        let engines = Engines {
            documents: engine.documents(),
            log: engine.events(),
            throttle: engine.throttle(),
        };
        Ok((Self::over(engines).await?, engine))
    }

    /// A node over `engines`.
    pub(super) async fn over(engines: Engines) -> Result<Self> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let Engines {
            documents,
            log,
            throttle,
        } = engines;
        let authority = SystemAuthority::assume();
        let tickets = Tickets::new(
            documents.clone(),
            &authority,
            clock.clone(),
            entropy.clone(),
        );
        let guard = Guard::new(Arc::new(issuer()?), Arc::new(OpenHouse), clock.clone());
        let limits = LimitsConfig {
            publishes: UNLIMITED,
            publish_bytes: UNLIMITED,
            ..LimitsConfig::default()
        };
        let realtime = Realtime::new(RealtimeDeps {
            documents: documents.clone(),
            log: log.clone(),
            throttle,
            tickets: Arc::new(tickets),
            guard: Arc::new(guard),
            clock: clock.clone(),
            entropy: entropy.clone(),
            recording: Recording::Nothing {
                reason: "a measurement of the canvas alone",
            },
            config: RealtimeConfig {
                limits,
                ..RealtimeConfig::default()
            },
        });
        Ok(Self {
            service: CanvasService::new(CanvasDeps {
                documents,
                log,
                realtime,
                clock,
                entropy,
                config: CanvasConfig::default(),
            }),
            scope: of_one_tenant().await?,
            contended: AtomicU64::new(0),
        })
    }

    pub(super) async fn register(&self, id: &str) -> Result<CanvasKey> {
        let new = NewCanvas {
            canvas_id: Some(id.parse()?),
            title: None,
        };
        let (key, ..) = self.service.registry().register(&self.scope, new).await?;
        Ok(key)
    }

    /// Sends a batch until it is carried out; gives the revision that it made.
    pub(super) async fn send(&self, key: &CanvasKey, batch: &CommandBatch) -> Result<u64> {
        match self.offer(key, batch).await? {
            Offered::Applied(rev) => Ok(rev),
            Offered::Behind(head) => anyhow::bail!("the canvas is at revision {head}"),
        }
    }

    /// Sends a batch until it is carried out, or does not know what it must.
    async fn offer(&self, key: &CanvasKey, batch: &CommandBatch) -> Result<Offered> {
        loop {
            match self.service.submit(&self.scope, key, batch).await {
                Ok(applied) => return Ok(Offered::Applied(applied.rev)),
                Err(CanvasError::Contended) => {
                    self.contended.fetch_add(1, Ordering::Relaxed);
                }
                Err(CanvasError::Elsewhere(there)) => {
                    return Ok(Offered::Behind(there.recovery.head_rev));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What became of a batch.
enum Offered {
    /// It made this revision.
    Applied(u64),
    /// Nothing was done; the canvas is at this revision.
    Behind(u64),
}

/// A batch of commands that are no more than their kind and arguments.
pub(super) fn batch(
    client: &str,
    id: &str,
    base: u64,
    mode: Mode,
    commands: &[(&str, Value)],
) -> Result<CommandBatch> {
    let identity = Identity {
        client_id: client.parse()?,
        batch_id: id.parse()?,
    };
    let commands = commands.iter().enumerate();
    let sent = commands.map(|(at, (kind, args))| {
        Ok(Sent {
            cmd_id: at.to_string().parse()?,
            kind: (*kind).to_owned(),
            args: RawValue::from_string(args.to_string())?,
        })
    });
    let sent = sent.collect::<Result<_>>()?;
    Ok(CommandBatch::new(identity, base, None, mode, sent)?)
}

/// A client of a canvas, who changes a node of its own.
struct Desk {
    key: CanvasKey,
    /// The last revision that it has seen.
    seen: AtomicU64,
}

/// Clients, each of which commits one update after the other, at one of the nodes in turn.
pub(super) struct Desks {
    nodes: Vec<Arc<House>>,
    desks: Vec<Desk>,
    mode: Mode,
}

impl Desks {
    /// A client for each of `canvases`, which are registered when they are not there.
    pub(super) async fn open(
        nodes: &[Arc<House>],
        canvases: &[String],
        mode: Mode,
    ) -> Result<Self> {
        let first = nodes.first().context("a node")?;
        let mut desks = Vec::with_capacity(canvases.len());
        for (at, canvas) in canvases.iter().enumerate() {
            let key = first.register(canvas).await?;
            let node = json!({"node": format!("n{at}"), "type": "note", "props": {"n": 0}});
            let head = first.service.view(&key).await?.rev;
            let made = batch(
                &client(at),
                "made",
                head,
                Mode::Strict,
                &[("node.create", node)],
            )?;
            let seen = first.send(&key, &made).await?.into();
            desks.push(Desk { key, seen });
        }
        Ok(Self {
            nodes: nodes.to_vec(),
            desks,
            mode,
        })
    }
}

fn client(at: usize) -> String {
    format!("c{at}")
}

#[async_trait]
impl Appender for Desks {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        // With more desks than writers, each writer goes over its own share.
        let share = (self.desks.len() / WRITERS).max(1);
        let at = (writer * share + (n as usize % share)) % self.desks.len();
        let desk = self.desks.get(at).context("a desk for each writer")?;
        let node = self.nodes.get(writer % self.nodes.len());
        let node = node.context("a node for each writer")?;
        let update = json!({"node": format!("n{at}"), "set": {"n": n}});
        let commands = [("node.update", update)];
        loop {
            let seen = desk.seen.load(Ordering::Relaxed);
            let batch = batch(&client(at), &n.to_string(), seen, self.mode, &commands)?;
            match node.offer(&desk.key, &batch).await? {
                Offered::Applied(rev) => {
                    desk.seen.store(rev, Ordering::Relaxed);
                    return Ok(());
                }
                // It waited while others made more than it can be put over: it catches up, as a client does.
                Offered::Behind(head) => desk.seen.store(head, Ordering::Relaxed),
            }
        }
    }
}
