//! Canvases over the embedded engine, without HTTP.

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
use canvas::{CanvasConfig, CanvasDeps, CanvasService, CommandBatch, Identity, Mode, Sent};
use engine_embedded::Embedded;
use identity::{Guard, Recording, Scope, SystemAuthority};
use realtime::{
    CanvasKey, LimitsConfig, NewCanvas, Realtime, RealtimeConfig, RealtimeDeps, Tickets,
};
use serde_json::{Value, json, value::RawValue};
use store::Quota;

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

/// Canvases, their store, and who changes them.
pub(super) struct House {
    pub(super) engine: Embedded,
    pub(super) service: CanvasService,
    pub(super) scope: Scope,
}

impl House {
    /// Opens one in `folder`.
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let engine = Embedded::open(folder, clock.clone(), entropy.clone())?;
        let authority = SystemAuthority::assume();
        let (documents, log) = (engine.documents(), engine.events());
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
            throttle: engine.throttle(),
            tickets: Arc::new(tickets),
            guard: Arc::new(guard),
            clock: clock.clone(),
            entropy,
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
                config: CanvasConfig::default(),
            }),
            engine,
            scope: of_one_tenant().await?,
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

    /// Sends a batch of `client`; gives the revision that it made.
    pub(super) async fn send(&self, key: &CanvasKey, batch: &CommandBatch) -> Result<u64> {
        Ok(self.service.submit(&self.scope, key, batch).await?.rev)
    }
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

/// Clients, each of which commits one update after the other.
pub(super) struct Desks {
    house: Arc<House>,
    desks: Vec<Desk>,
    mode: Mode,
}

impl Desks {
    /// A client for each of `canvases`, which are registered when they are not there.
    pub(super) async fn open(house: &Arc<House>, canvases: &[String], mode: Mode) -> Result<Self> {
        let mut desks = Vec::with_capacity(canvases.len());
        for (at, canvas) in canvases.iter().enumerate() {
            let key = house.register(canvas).await?;
            let node = json!({"node": format!("n{at}"), "type": "note", "props": {"n": 0}});
            let head = house.service.view(&key).await?.rev;
            let made = batch(
                &client(at),
                "made",
                head,
                Mode::Strict,
                &[("node.create", node)],
            )?;
            let seen = house.send(&key, &made).await?.into();
            desks.push(Desk { key, seen });
        }
        Ok(Self {
            house: house.clone(),
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
        let update = json!({"node": format!("n{at}"), "set": {"n": n}});
        let seen = desk.seen.load(Ordering::Relaxed);
        let commands = [("node.update", update)];
        let batch = batch(&client(at), &n.to_string(), seen, self.mode, &commands)?;
        let rev = self.house.send(&desk.key, &batch).await?;
        desk.seen.store(rev, Ordering::Relaxed);
        Ok(())
    }
}
