//! Nodes that share their engines behave as one: each tells the others what was changed on it, and what they
//! remember of that counts no more.
//!
//! Every memory is bounded by time as well (two seconds at most), so a message that is lost costs that time and no
//! more: nothing here is needed for truth. Decisions on memberships, gates, flags, preferences and routes are
//! just made on newer knowledge.
//!
//! **Invariant:** no request waits for the bus. Changes wait in bounded queues; where one overflows, or the bus does
//! not take a message, the others are told that anything may have changed.

mod note;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use control::{Change, Control};
use flags::{Flags, LayerKey};
use futures_util::{FutureExt, StreamExt};
use gatechain::{GateChain, Place};
use identity::{Entropy, SystemAuthority};
use metrics::{counter, gauge};
use privacy::{Level, TrainPrefs};
use store::{Bus, Heard, Topic};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::AbortHandle,
    time::sleep,
};

use note::{NOTES_MAX, NodeId, Note, message, read};

/// Before the bus is tried again after it failed.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// The topic of changes.
const TOPIC: &str = "changes";

/// Whose memories are told.
#[derive(Clone)]
pub(crate) struct Remembering {
    pub(crate) control: Arc<Control>,
    pub(crate) gates: GateChain,
    pub(crate) flags: Arc<Flags>,
    pub(crate) train_prefs: Arc<TrainPrefs>,
}

impl Remembering {
    fn forget(&self, note: Note) {
        let control = self.control.invalidations();
        match note {
            Note::Anything => self.forget_everything(),
            Note::Member(tenant, user) => control.heard(&Change::Member(tenant, user)),
            Note::Tenant(tenant) => control.heard(&Change::Tenant(tenant)),
            Note::Session(session) => control.heard(&Change::Session(session)),
            Note::Routes(owner) => control.heard(&Change::Routes(owner)),
            Note::Gates(at) => self.gates.heard(&match at {
                None => Place::System,
                Some((tenant, env)) => Place::Tenant(tenant, env),
            }),
            Note::Flags(at) => self.flags.heard(&match at {
                None => LayerKey::System,
                Some((tenant, env)) => LayerKey::Tenant(tenant, env),
            }),
            Note::TrainPrefs(tenant, user) => self.train_prefs.heard(&match (tenant, user) {
                (None, _) => Level::System,
                (Some(tenant), None) => Level::Tenant(tenant),
                (Some(tenant), Some(user)) => Level::User(tenant, user),
            }),
        }
    }

    fn forget_everything(&self) {
        counter!("tenantry_nodes_forgotten_total").increment(1);
        self.control.invalidations().missed();
        self.gates.missed();
        self.flags.missed();
        self.train_prefs.missed();
    }

    fn listen(&self) -> Changes {
        Changes {
            control: self.control.invalidations().listen(),
            gates: self.gates.listen(),
            flags: self.flags.listen(),
            train_prefs: self.train_prefs.listen(),
        }
    }
}

/// Begins to tell other nodes what is changed on this one, and to hear what is changed there.
pub(crate) fn join(
    bus: &Arc<dyn Bus>,
    remembering: Remembering,
    authority: &SystemAuthority,
    entropy: &dyn Entropy,
) -> [AbortHandle; 2] {
    let node = NodeId::generate(entropy);
    let teller = Teller {
        bus: Arc::clone(bus),
        topic: Topic::of_system(authority, TOPIC),
        node: node.clone(),
        changes: remembering.listen(),
    };
    let hearer = Hearer {
        bus: Arc::clone(bus),
        topic: teller.topic.clone(),
        node,
        remembering,
    };
    [tokio::spawn(teller.run()), tokio::spawn(hearer.run())].map(|task| task.abort_handle())
}

/// What is changed on this node.
struct Changes {
    control: Receiver<Change>,
    gates: Receiver<Place>,
    flags: Receiver<LayerKey>,
    train_prefs: Receiver<Level>,
}

impl Changes {
    async fn next(&mut self) -> Note {
        tokio::select! {
            change = self.control.recv() => noted(change),
            changed = self.gates.recv() => noted(changed),
            layer = self.flags.recv() => noted(layer),
            level = self.train_prefs.recv() => noted(level),
        }
    }

    /// What is there, at least one and each once.
    async fn batch(&mut self) -> Vec<Note> {
        let mut notes = vec![self.next().await];
        while notes.len() < NOTES_MAX
            && let Some(note) = self.next().now_or_never()
        {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }
}

/// A change, or that the queue overflowed. Who tells lives as long as the server.
fn noted<T: Into<Note>>(change: Result<T, RecvError>) -> Note {
    change.map_or(Note::Anything, Into::into)
}

/// Tells what is changed here.
struct Teller {
    bus: Arc<dyn Bus>,
    topic: Topic,
    node: NodeId,
    changes: Changes,
}

impl Teller {
    async fn run(mut self) {
        loop {
            let notes = self.changes.batch().await;
            let mut told = message(&self.node, &notes);
            while let Err(error) = self.bus.publish(&self.topic, told).await {
                counter!("tenantry_nodes_untold_total").increment(1);
                tracing::warn!(%error, "other nodes are not told of changes; they see them two seconds later");
                sleep(RETRY_AFTER).await;
                told = message(&self.node, &[Note::Anything]);
            }
        }
    }
}

/// Hears what is changed elsewhere.
struct Hearer {
    bus: Arc<dyn Bus>,
    topic: Topic,
    node: NodeId,
    remembering: Remembering,
}

impl Hearer {
    async fn run(self) {
        let hears = gauge!("tenantry_nodes_hearing");
        loop {
            match self.bus.subscribe(&self.topic).await {
                Err(error) => tracing::warn!(%error, "changes of other nodes are not heard of"),
                Ok(mut hearing) => {
                    // What was told until now was not heard here.
                    self.remembering.forget_everything();
                    hears.set(1.0);
                    while let Some(heard) = hearing.next().await {
                        self.take(heard);
                    }
                }
            }
            hears.set(0.0);
            sleep(RETRY_AFTER).await;
        }
    }

    fn take(&self, heard: Heard) {
        match heard {
            Heard::Missed => self.remembering.forget_everything(),
            Heard::Message(message) => self.take_message(&message),
        }
    }

    fn take_message(&self, message: &Bytes) {
        for note in read(&self.node, message) {
            let about = note.about();
            self.remembering.forget(note);
            // Counted when it holds.
            counter!("tenantry_nodes_heard_total", "about" => about).increment(1);
        }
    }
}
