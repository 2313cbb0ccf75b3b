//! The watch over one open stream: heartbeats, access, drain, with one timer.
//!
//! **Invariant:** a stream whose token ended, or whose member was removed, ends
//! within the recheck time; when that cannot be known it ends after
//! [`UNKNOWN_MAX`], because access is never assumed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use identity::{Recorded, Refusal, Role, Scope};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    Realtime,
    meters::TransportMeters,
    record::{Followed, Opened, Reason},
};

/// How long a stream may go on while the directory cannot be asked.
const UNKNOWN_MAX: Duration = Duration::from_secs(5);
/// Clients reconnect at a moment of this time after a drain, or after a stream ends.
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
const RECONNECT_SPREAD: Duration = Duration::from_millis(2500);

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tick {
    /// A sign of life is due.
    Heartbeat,
    /// The stream must end.
    End(End),
}

/// Why a stream must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The token or the session ended.
    TokenEnded,
    /// The member may not follow this stream any more.
    AccessRevoked,
    /// The server is stopping, or cannot know whether access holds.
    Drain,
}

/// Watches over one open stream.
pub(crate) struct Watch {
    pub(crate) realtime: Arc<Realtime>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) meters: Arc<TransportMeters>,
    role: Role,
    timer: Pin<Box<Sleep>>,
    heartbeat_at: Instant,
    recheck_at: Instant,
    known_at: Instant,
    drain_at: Option<Instant>,
    recheck: Option<BoxFuture<'static, Result<(), Refusal>>>,
    /// There until the watch is dropped.
    opened: Option<Opened>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.meters.connections.decrement(1);
        if let Some(opened) = self.opened.take() {
            opened.close(self.scope.clone());
        }
    }
}

impl Watch {
    pub(crate) fn new(realtime: Arc<Realtime>, scope: Scope, opened: Opened) -> Self {
        let now = Instant::now();
        let timings = &realtime.config.timings;
        let (heartbeat_at, recheck_at) = (
            now + timings.heartbeat,
            // Spread, so that streams opened together are not rechecked together.
            now + realtime.jitter(timings.recheck),
        );
        let Followed { role, meters, .. } = opened.followed();
        meters.connections.increment(1);
        Self {
            realtime,
            scope: Arc::new(scope),
            role: *role,
            meters: Arc::clone(meters),
            timer: Box::pin(sleep_until(heartbeat_at.min(recheck_at))),
            heartbeat_at,
            recheck_at,
            known_at: now,
            drain_at: None,
            recheck: None,
            opened: Some(opened),
        }
    }

    /// Records that the stream opened; `None` where nothing is recorded.
    pub(crate) async fn record_opening(&self) -> Option<Recorded> {
        match &self.opened {
            Some(opened) => opened.open(&self.scope).await,
            None => None,
        }
    }

    /// Says why the stream ends, for the record; the first reason counts.
    pub(crate) fn ends(&mut self, reason: Reason) {
        if let Some(opened) = &mut self.opened {
            opened.ends(reason);
        }
    }

    /// Goes on with a renewed scope.
    pub(crate) fn renew(&mut self, scope: Scope) {
        self.scope = Arc::new(scope);
        self.recheck = None;
        self.known_at = Instant::now();
    }

    /// The next thing to do; wakes at the time of the one after.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        let tick = self.poll_tick(cx);
        if let Poll::Ready(Tick::End(end)) = tick {
            self.ends(end.into());
        }
        tick
    }

    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        if self.realtime.draining() && self.drain_at.is_none() {
            self.drain_at = Some(Instant::now() + self.realtime.drain_delay());
            self.arm();
        }
        if let Some(end) = self.poll_recheck(cx) {
            return Poll::Ready(Tick::End(end));
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if let Some(tick) = self.due(cx) {
                return Poll::Ready(tick);
            }
        }
        Poll::Pending
    }

    fn due(&mut self, cx: &mut Context<'_>) -> Option<Tick> {
        let now = Instant::now();
        let timings = &self.realtime.config.timings;
        let mut tick = None;
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + timings.heartbeat;
            tick = Some(Tick::Heartbeat);
        }
        if self.recheck_at <= now {
            self.recheck_at = now + timings.recheck;
            self.begin_recheck();
        }
        if self.drain_at.is_some_and(|at| at <= now) {
            return Some(Tick::End(End::Drain));
        }
        self.arm();
        self.poll_recheck(cx).map(Tick::End).or(tick)
    }

    fn arm(&mut self) {
        let next = self.heartbeat_at.min(self.recheck_at);
        let next = self.drain_at.map_or(next, |at| at.min(next));
        self.timer.as_mut().reset(next);
    }

    fn begin_recheck(&mut self) {
        if self.recheck.is_none() {
            let (guard, scope) = (self.realtime.guard.clone(), self.scope.clone());
            let role = self.role;
            self.recheck = Some(Box::pin(async move { guard.recheck(&scope, role).await }));
        }
    }

    fn poll_recheck(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let Poll::Ready(answer) = self.recheck.as_mut()?.as_mut().poll(cx) else {
            return self.unknown_for_too_long();
        };
        self.recheck = None;
        match answer {
            Ok(()) => {
                self.known_at = Instant::now();
                None
            }
            Err(refusal) => end_of(&refusal).or_else(|| self.unknown_for_too_long()),
        }
    }

    fn unknown_for_too_long(&mut self) -> Option<End> {
        if self.known_at.elapsed() <= UNKNOWN_MAX {
            return None;
        }
        self.ends(Reason::Unverified);
        Some(End::Drain)
    }

    /// When the client should come back, spread over all clients.
    pub(crate) fn reconnect_delay(&self) -> Duration {
        RECONNECT_FIRST + self.realtime.jitter(RECONNECT_SPREAD)
    }
}

/// Why a refusal ends a stream; `None` when it only says that nothing is known.
pub(crate) fn end_of(refusal: &Refusal) -> Option<End> {
    match refusal {
        Refusal::Unavailable(_) => None,
        Refusal::Unauthenticated { .. } => Some(End::TokenEnded),
        Refusal::TenantForbidden
        | Refusal::UnknownProject
        | Refusal::UnknownSurface
        | Refusal::UnknownApp
        | Refusal::RoleForbidden
        | Refusal::ContextMissing(_)
        | Refusal::ContextInvalid(_)
        | Refusal::ContextConflict(_) => Some(End::AccessRevoked),
    }
}
