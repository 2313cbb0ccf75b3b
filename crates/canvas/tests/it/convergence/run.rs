//! One run: who takes part, what they do, and what must hold at each step.

mod editing;

use std::collections::BTreeMap;

use identity::Scope;
use realtime::CanvasKey;
use serde_json::{Value, json};
use store::{Cursor, Read};
use tenantry_canvas::{CanvasError, CanvasService, CommandBatch, Commit, Identity, Mode, Recovery};

use crate::{
    chance::Chance,
    house::{Ground, canvas, sent},
    oracle::{Oracle, commit_hash},
    recovery::follow,
};

const STEPS: usize = 200;

/// What was done, so that a run that did nothing does not pass.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) commits: usize,
    pub(crate) rebased: usize,
    pub(crate) conflicts: usize,
    pub(crate) invalid: usize,
    pub(crate) resent: usize,
    pub(crate) undone: usize,
    pub(crate) restored: usize,
    pub(crate) restarts: usize,
    pub(crate) from_below: usize,
}

/// A batch, and what its client calls it.
#[derive(Clone)]
struct Named {
    name: String,
    batch: CommandBatch,
}

/// Someone who edits, and what they know.
struct Editor {
    scope: Scope,
    client: String,
    rev: u64,
    epoch: u64,
    state: Oracle,
    /// Sent, with the answer lost.
    unanswered: Option<Named>,
    batches: Vec<String>,
    made: usize,
}

/// A revision, by the oracle.
#[derive(Clone)]
struct Known {
    state: Oracle,
    hash: String,
}

/// Someone who only follows the rail.
#[derive(Default)]
struct Reader {
    after: Option<Cursor>,
    rev: u64,
    state: Oracle,
}

struct Run<'a> {
    ground: &'a Ground,
    nodes: Vec<CanvasService>,
    key: CanvasKey,
    chance: Chance,
    editors: Vec<Editor>,
    reader: Reader,
    /// The state of every revision, by the oracle.
    history: Vec<Known>,
    last_hash: String,
    /// Which commit a batch became.
    became: BTreeMap<(String, String), u64>,
    work: Work,
}

impl Run<'_> {
    fn node(&self) -> &CanvasService {
        self.chance.pick(&self.nodes).unwrap()
    }

    fn known(&self, rev: u64) -> &Known {
        &self.history[usize::try_from(rev).unwrap()]
    }

    /// That a client who followed the way from `base` is where the canvas is.
    fn is_head(&self, state: &Oracle, recovery: &Recovery, base: u64) {
        let known = self.known(recovery.head_rev);
        assert!(*state == known.state, "another state, from {base}");
        assert_eq!(recovery.head_hash.to_string(), known.hash, "from {base}");
    }

    fn head(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    /// Reads what was committed since, checks it, and does it on the oracle.
    async fn observe(&mut self) {
        let node = self.nodes.first().unwrap();
        let page = node.commits(&self.key, self.head(), 1000).await.unwrap();
        for commit in &page.items {
            let wire = serde_json::to_value(commit).unwrap();
            assert_eq!(commit.rev, self.head() + 1);
            assert_eq!(wire["prev_hash"], self.last_hash.as_str());
            assert_eq!(wire["commit_hash"], commit_hash(&wire).as_str());
            self.last_hash = wire["commit_hash"].as_str().unwrap().to_owned();
            self.overlaps_nothing(commit);
            let mut next = match commit.restores {
                Some(rev) => self.known(rev).state.clone(),
                None => self.known(commit.rev - 1).state.clone(),
            };
            next.apply(&wire);
            next.check();
            let hash = next.hash();
            assert_eq!(wire["state_hash"], hash.as_str(), "revision {}", commit.rev);
            self.history.push(Known { state: next, hash });
            let name = (commit.client_id.to_string(), commit.batch_id.to_string());
            assert!(
                self.became.insert(name, commit.rev).is_none(),
                "a batch became two commits"
            );
            self.work.commits += 1;
            self.work.rebased += usize::from(!commit.rebased_over.is_empty());
        }
    }

    /// That no commit which it was put over wrote the same property of the same node.
    fn overlaps_nothing(&self, commit: &Commit) {
        let (Some(from), Some(to)) = (commit.rebased_over.first(), commit.rebased_over.last())
        else {
            return;
        };
        assert_eq!((*from, *to), (commit.base_rev + 1, commit.rev - 1));
        let state = |rev: u64| &self.known(rev).state;
        let (before, after) = (state(from - 1), state(*to));
        for command in serde_json::to_value(&commit.commands)
            .unwrap()
            .as_array()
            .unwrap()
        {
            let node = command["args"]["node"].as_str().unwrap();
            let (Some(was), Some(is)) = (before.nodes.get(node), after.nodes.get(node)) else {
                continue;
            };
            match command["kind"].as_str().unwrap() {
                "node.update" => {
                    for name in command["args"]["set"].as_object().unwrap().keys() {
                        assert_eq!(was["props"][name], is["props"][name], "an edit was lost");
                    }
                }
                "node.delete" => {
                    assert_eq!(was["props"], is["props"], "an edited node was deleted");
                }
                "node.move" => assert_eq!(was["parent"], is["parent"], "a move was lost"),
                _ => {}
            }
        }
    }

    /// A client that was away since any revision, those that are let go included.
    async fn come_back(&mut self, who: usize) {
        let base = self.chance.below(self.history.len());
        if base as u64 == self.head() {
            return;
        }
        let identity = Identity {
            client_id: "stranger".parse().unwrap(),
            batch_id: "away".parse().unwrap(),
        };
        let commands = vec![sent(0, "node.delete", &json!({"node": "nobody"}))];
        let stranger = CommandBatch::new(identity, base as u64, None, Mode::Strict, commands);
        let stranger = stranger.unwrap();
        let answer = self.submit(who, &stranger).await;
        let Err(CanvasError::Elsewhere(away)) = answer else {
            panic!("{answer:?}");
        };
        let client = self.known(base as u64).state.clone();
        let state = follow(client, base as u64, &away.recovery.way);
        self.is_head(&state, &away.recovery, base as u64);
        assert_eq!(away.recovery.head_rev, self.head());
        let oldest = self.nodes[0]
            .commits(&self.key, 0, 1)
            .await
            .unwrap()
            .oldest_rev;
        self.work.from_below += usize::from(base as u64 + 1 < oldest);
    }

    /// The reader follows the rail as far as it goes.
    async fn follow_rail(&mut self) {
        let stream = self.key.stream();
        let read = self
            .ground
            .log
            .read(stream, self.reader.after, 1000)
            .await
            .unwrap();
        let Read::Page { events, .. } = read else {
            panic!("{read:?}");
        };
        for event in events {
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            let commit = &body["data"];
            assert_eq!(
                commit["rev"],
                self.reader.rev + 1,
                "a commit was told out of turn"
            );
            if let Some(rev) = commit["restores"].as_u64() {
                self.reader.state = self.history[usize::try_from(rev).unwrap()].state.clone();
            }
            self.reader.state.apply(commit);
            self.reader.rev += 1;
            self.reader.after = Some(event.cursor);
        }
    }

    async fn step(&mut self) {
        let who = self.chance.below(self.editors.len());
        match self.chance.below(40) {
            0..26 => self.edit(who).await,
            26..30 => self.catch_up(who).await,
            30..33 => self.undo(who).await,
            33 => self.restore(who).await,
            34..36 => self.come_back(who).await,
            36..38 => self.follow_rail().await,
            _ => {
                let at = self.chance.below(self.nodes.len());
                self.nodes[at] = self.ground.start();
                self.work.restarts += 1;
            }
        }
    }

    /// Everyone gets to the head, by their own ways, and finds the same.
    async fn settle(&mut self) {
        for who in 0..self.editors.len() {
            if let Some(Named { name, batch }) = self.editors[who].unanswered.take() {
                let answer = self.submit(who, &batch).await;
                self.observe().await;
                self.heed(who, name, answer).await;
            }
        }
        self.node().settle(&self.key).await.unwrap();
        self.follow_rail().await;
        let truth = self.known(self.head()).state.clone();
        truth.check();
        let hash = truth.hash();
        for who in 0..self.editors.len() {
            self.catch_up(who).await;
            assert_eq!(
                (self.editors[who].rev, self.editors[who].state.hash()),
                (self.head(), hash.clone())
            );
        }
        assert_eq!(
            (self.reader.rev, self.reader.state.hash()),
            (self.head(), hash.clone())
        );
        for node in &self.nodes {
            let view = node.view(&self.key).await.unwrap();
            assert_eq!(
                (view.rev, view.state_hash.to_string()),
                (self.head(), hash.clone())
            );
        }
    }
}

pub(super) async fn run(ground: &Ground, seed: u64) -> Work {
    let nodes = vec![ground.start(), ground.start()];
    let owner = ground.scope("u_1").await;
    let key = canvas(&nodes[0], &owner, &format!("cv_{seed}")).await;
    let mut editors = Vec::new();
    for who in 1..=3 {
        editors.push(Editor {
            scope: ground.scope(&format!("u_{who}")).await,
            client: format!("c{who}"),
            rev: 0,
            epoch: 1,
            state: Oracle::default(),
            unanswered: None,
            batches: Vec::new(),
            made: 0,
        });
    }
    let mut run = Run {
        ground,
        nodes,
        key,
        chance: Chance::new(seed),
        editors,
        reader: Reader::default(),
        history: vec![Known {
            hash: Oracle::default().hash(),
            state: Oracle::default(),
        }],
        last_hash: "0".repeat(64),
        became: BTreeMap::new(),
        work: Work::default(),
    };
    for _ in 0..STEPS {
        run.step().await;
    }
    run.settle().await;
    run.work
}
