//! What editors do.

use serde_json::json;
use tenantry_canvas::{Applied, CanvasError, CommandBatch, Identity, Mode, Restore, Sent, Undoing};

use super::{Editor, Named, Run};
use crate::{house::sent, oracle::Oracle, recovery::follow};

impl Run<'_> {
    /// A command about nodes that the editor knows, mostly.
    pub(super) fn command(&self, editor: &Editor, at: usize) -> Sent {
        let known: Vec<&String> = editor.state.nodes.keys().collect();
        let any = || {
            self.chance
                .pick(&known)
                .map_or_else(|| "nobody".to_owned(), |id| (*id).clone())
        };
        let name = ["x", "y", "z"][self.chance.below(3)];
        let (kind, args) = match self.chance.below(20) {
            0..7 => {
                let node = format!("{}-{}-{}", editor.client, editor.made, at);
                let parent = self.chance.one_in(2).then(any);
                (
                    "node.create",
                    json!({"node": node, "type": "t", "parent": parent, "props": {name: at}}),
                )
            }
            7..13 => (
                "node.update",
                json!({"node": any(), "set": {name: editor.made}}),
            ),
            13 => ("node.update", json!({"node": any(), "unset": [name]})),
            14..16 => ("node.move", json!({"node": any(), "parent": any()})),
            16 => (
                "node.move",
                json!({"node": any(), "parent": null, "after": null}),
            ),
            17 => ("node.move", json!({"node": any(), "after": any()})),
            18 => ("node.delete", json!({"node": any()})),
            _ => ("node.create", json!({"node": any(), "type": "t"})),
        };
        sent(at, kind, &args)
    }

    pub(super) fn batch(&self, editor: &Editor) -> Named {
        let commands = (0..1 + self.chance.below(3))
            .map(|at| self.command(editor, at))
            .collect();
        let name = format!("b{}", editor.made);
        let mode = if self.chance.one_in(3) {
            Mode::Strict
        } else {
            Mode::Rebase
        };
        let epoch = self.chance.one_in(2).then_some(editor.epoch);
        let identity = Identity {
            client_id: editor.client.parse().unwrap(),
            batch_id: name.parse().unwrap(),
        };
        let batch = CommandBatch::new(identity, editor.rev, epoch, mode, commands).unwrap();
        Named { name, batch }
    }

    pub(super) async fn edit(&mut self, who: usize) {
        let resends = self.editors[who].unanswered.is_some();
        let named = match self.editors[who].unanswered.take() {
            Some(named) => named,
            None => {
                self.editors[who].made += 1;
                self.batch(&self.editors[who])
            }
        };
        let times = if self.chance.one_in(6) {
            1 + self.chance.below(4)
        } else {
            0
        };
        let answer = self.submit(who, &named.batch).await;
        for _ in 0..times {
            let again = self.submit(who, &named.batch).await;
            if let (Ok(first), Ok(again)) = (&answer, &again) {
                assert!(again.duplicate);
                assert_eq!((first.rev, first.state_hash), (again.rev, again.state_hash));
                assert!(again.effective == first.effective || again.effective.is_empty());
            }
        }
        self.work.resent += times + usize::from(resends);
        self.observe().await;
        if self.chance.one_in(5) {
            self.editors[who].unanswered = Some(named);
            return;
        }
        self.heed(who, named.name, answer).await;
    }

    pub(super) async fn submit(
        &self,
        who: usize,
        batch: &CommandBatch,
    ) -> Result<Applied, CanvasError> {
        self.node()
            .submit(&self.editors[who].scope, &self.key, batch)
            .await
    }

    /// What an editor does with an answer.
    pub(super) async fn heed(
        &mut self,
        who: usize,
        name: String,
        answer: Result<Applied, CanvasError>,
    ) {
        match answer {
            Ok(applied) => {
                assert_eq!(applied.state_hash.to_string(), self.known(applied.rev).hash);
                self.editors[who].batches.push(name);
                self.catch_up(who).await;
            }
            Err(CanvasError::Elsewhere(away)) => {
                self.work.conflicts += 1;
                let editor = &mut self.editors[who];
                let state = follow(
                    std::mem::take(&mut editor.state),
                    editor.rev,
                    &away.recovery.way,
                );
                let rev = editor.rev;
                self.is_head(&state, &away.recovery, rev);
                let editor = &mut self.editors[who];
                (editor.state, editor.rev, editor.epoch) =
                    (state, away.recovery.head_rev, away.recovery.epoch);
            }
            Err(CanvasError::CommandInvalid { .. }) => self.work.invalid += 1,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// An editor reads what others did.
    pub(super) async fn catch_up(&mut self, who: usize) {
        let view = self.node().view(&self.key).await.unwrap();
        let nodes: Vec<_> = view.state.nodes().map(|node| (**node).clone()).collect();
        let editor = &mut self.editors[who];
        editor.state = Oracle::of(&json!({ "nodes": nodes }));
        (editor.rev, editor.epoch) = (view.rev, view.epoch);
    }

    pub(super) async fn undo(&mut self, who: usize) {
        let editor = &mut self.editors[who];
        let Some(of) = self.chance.pick(&editor.batches).cloned() else {
            return;
        };
        editor.made += 1;
        let name = format!("b{}", editor.made);
        let undoing = Undoing {
            identity: Identity {
                client_id: editor.client.parse().unwrap(),
                batch_id: name.parse().unwrap(),
            },
            batch_id: of.parse().unwrap(),
        };
        let scope = &self.editors[who].scope;
        match self.node().undo(scope, &self.key, &undoing).await {
            Ok(_) => {
                self.work.undone += 1;
                self.editors[who].batches.push(name);
            }
            Err(CanvasError::UndoConflict(_) | CanvasError::NotFound) => {}
            Err(other) => panic!("{other:?}"),
        }
        self.observe().await;
    }

    pub(super) async fn restore(&mut self, who: usize) {
        self.editors[who].made += 1;
        let editor = &self.editors[who];
        let rev = self.head().saturating_sub(self.chance.below(30) as u64);
        let restore = Restore {
            identity: Identity {
                client_id: editor.client.parse().unwrap(),
                batch_id: format!("b{}", editor.made).parse().unwrap(),
            },
            rev,
        };
        match self
            .node()
            .restore(&editor.scope, &self.key, &restore)
            .await
        {
            Ok(_) => self.work.restored += 1,
            Err(CanvasError::NotFound) => {}
            Err(other) => panic!("{other:?}"),
        }
        self.observe().await;
    }
}
