//! Telling of runs on the canvas's rail: when one begins, and how it ends.

use identity::{Conclusion, Deed, Outcome, Remarks, Scope};
use nexus::RunStatus;
use realtime::{CanvasKey, Told};
use serde_json::json;
use store::{Idempotency, StoreError};

use super::{Run, Runs};
use crate::{Applied, CanvasError, SendCommands, model::Digest};

const RUN: &str = "canvas.run";
/// What the record of a run's end is called.
const END: &str = "canvas.run.end";

impl Runs {
    /// Tells where a run is. It is kept, so a rail that cannot be reached loses nothing but the event.
    pub(super) async fn tell(&self, key: &CanvasKey, run: &Run) {
        if let Err(error) = self.try_tell(key, run).await {
            tracing::warn!(%error, run = %run.run_id, "a run was not told of");
        }
    }

    async fn try_tell(&self, key: &CanvasKey, run: &Run) -> Result<(), CanvasError> {
        let data = json!({
            "run_id": run.run_id,
            "name": run.name,
            "agent": run.agent,
            "status": run.status,
            "steps": run.steps,
            "first_rev": run.revs.first(),
            "last_rev": run.revs.last(),
            "error": run.error.as_ref().map(|error| json!({"code": error.code, "step": error.step})),
            "asset_id": run.asset_id,
        });
        let data = serde_json::value::to_raw_value(&data);
        let data = data.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let once = [
            key.stream().as_str().as_bytes(),
            run.run_id.as_str().as_bytes(),
            if run.status.is_final() {
                b"end"
            } else {
                b"begin"
            },
        ];
        let told = Told {
            kind: RUN,
            at: run.finished_at.unwrap_or(run.created_at),
            actor: &run.created_by,
            request_id: &run.request_id,
            traceparent: &run.traceparent,
            data: &data,
            idempotency: Idempotency {
                key: Digest::of_parts(&once).half(),
                fingerprint: Digest::of_parts(&[data.get().as_bytes()]).half(),
            },
        };
        self.deps.canvases.tell_of(key, &told).await?;
        Ok(())
    }

    /// Records a step, as the commands of any client are.
    pub(super) async fn record_step(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        run: &Run,
        outcome: Result<&Applied, &'static str>,
    ) {
        let remarks = Remarks::default().with("run_id", &run.run_id);
        let remarks = remarks.with("agent", &run.agent);
        let (remarks, outcome) = match outcome {
            Ok(applied) => (remarks.with("rev", applied.rev), Outcome::Done),
            Err(code) => (remarks, Outcome::Refused(code)),
        };
        let action = <SendCommands as identity::Action>::NAME;
        let target = format!("/canvas/{}/commands", key.canvas());
        self.note(scope, action, &target, outcome, &remarks).await;
    }

    /// Records how a run ended.
    pub(super) async fn record_end(&self, scope: &Scope, key: &CanvasKey, run: &Run) {
        let remarks = Remarks::default().with("run_id", &run.run_id);
        let remarks = remarks
            .with("agent", &run.agent)
            .with("steps", run.revs.len());
        let status = match run.status {
            RunStatus::Succeeded => "succeeded",
            RunStatus::Cancelled => "cancelled",
            _ => "failed",
        };
        let remarks = remarks.with("status", status);
        let remarks = match &run.error {
            Some(error) => remarks.with("code", &error.code),
            None => remarks,
        };
        let remarks = match &run.asset_id {
            Some(asset) => remarks.with("asset_id", asset),
            None => remarks,
        };
        let target = format!("/canvas/{}/runs", key.canvas());
        self.note(scope, END, &target, Outcome::Done, &remarks)
            .await;
    }

    async fn note(
        &self,
        scope: &Scope,
        action: &'static str,
        target: &str,
        outcome: Outcome,
        remarks: &Remarks,
    ) {
        let deed = Deed {
            place: scope.into(),
            action,
            method: "POST",
            target,
            ids: scope.ids(),
        };
        let conclusion = Conclusion {
            outcome,
            created: None,
            remarks,
        };
        // A record that is degraded is logged, and made later; there is nobody here to tell.
        let _ = self.deps.recording.note(&deed, conclusion).await;
    }
}
