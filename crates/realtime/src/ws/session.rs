//! One WebSocket: what it answers to what it hears, and when it ends.
//!
//! **Invariant:** after a close frame nothing more is sent.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use identity::{Action, Code, Problem, Refusal, Scope};
use serde::Serialize;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    allowance::Allowance,
    close,
    inbound::Inbox,
    ops::{self, Ack, Fault, Misunderstood, Op, Publish, Ref, Reply},
    publishing::{Published, Publishing, Refused},
};
use crate::{
    Message, OpenStream, RealtimeError, RouteKey,
    frames::{close_frame, ping_frame, pong_frame, text_frame},
    hub::{Attendance, Delivery, From, Subscription},
    record::Reason,
    watch::{End, Tick, Watch, end_of},
    wire::GapNotice,
};

/// A socket that starts live waits for a first `resume` before it sends events,
/// so that nothing comes twice: a little longer than a ping takes, at most this.
const RESUME_WAIT_MAX: Duration = Duration::from_millis(500);
/// How much later than the pong a resume may come, if both were sent at once.
const RESUME_AFTER_PONG: Duration = Duration::from_millis(20);
/// Frames that wait to be sent, besides events; above it nothing is read.
const FRAMES_MAX: usize = 64;
/// Frames that cannot be understood; one more is a violation.
const FAULTS_MAX: u32 = 8;
/// Refusals for the rate without a success between; one more ends the socket.
const STRIKES_MAX: u32 = 50;

/// One WebSocket.
pub(super) struct Session {
    watch: Watch,
    subscription: Subscription,
    attendance: Attendance,
    route: Arc<RouteKey>,
    out: VecDeque<Bytes>,
    publishing: Option<Box<Publishing>>,
    refresh: Option<BoxFuture<'static, Result<Scope, Refusal>>>,
    resume_wait: Option<Pin<Box<Sleep>>>,
    allowance: Allowance,
    heard_at: Instant,
    faults: u32,
    strikes: u32,
    closing: bool,
}

impl Session {
    pub(super) fn new(
        watch: Watch,
        subscription: Subscription,
        route: RouteKey,
        live: bool,
    ) -> Self {
        let (attendance, roster) = subscription.join(watch.scope.user());
        let now = Instant::now();
        let mut session = Self {
            attendance,
            route: Arc::new(route),
            out: VecDeque::new(),
            publishing: None,
            refresh: None,
            resume_wait: live.then(|| Box::pin(sleep(RESUME_WAIT_MAX))),
            allowance: Allowance::full(now),
            heard_at: now,
            faults: 0,
            strikes: 0,
            closing: false,
            watch,
            subscription,
        };
        session.send(&Reply::Ready {
            head: session.subscription.head().to_string(),
            presence: &*roster.members,
            count: roster.count,
        });
        if live {
            session.out.push_back(ping_frame());
        }
        session
    }

    fn send(&mut self, frame: &impl Serialize) {
        let text = serde_json::to_vec(frame).unwrap_or_default();
        self.out.push_back(text_frame(&text));
    }

    fn reply(&mut self, reply: &Reply<'_, ()>) {
        self.send(reply);
    }

    fn close(&mut self, code: u16, reason: &str) {
        if !self.closing {
            self.closing = true;
            self.watch.ends(close::recorded(code));
            self.out.push_back(close_frame(code, reason));
        }
    }

    /// Whether what the client sends next can be taken.
    pub(super) fn has_room(&self) -> bool {
        !self.closing
            && self.out.len() < FRAMES_MAX
            && self.publishing.as_ref().is_none_or(|p| p.has_room())
    }

    /// The client is gone: nothing is sent any more.
    pub(super) fn abandon(&mut self) {
        self.closing = true;
        self.out.clear();
    }

    /// Takes what the client sent.
    pub(super) fn take(&mut self, inbox: Inbox) {
        self.heard_at = Instant::now();
        match inbox {
            Inbox::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => self.take_text(text),
                Err(_) => self.close(close::PROTOCOL, "text is UTF-8"),
            },
            Inbox::Ping(payload) => self.out.push_back(pong_frame(&payload)),
            Inbox::Pong => {
                if let Some(wait) = &mut self.resume_wait {
                    wait.as_mut().reset(self.heard_at + RESUME_AFTER_PONG);
                }
            }
            Inbox::Close => self.close(close::NORMAL, ""),
            Inbox::Violation(why) => self.close(close::PROTOCOL, why),
        }
    }

    fn take_text(&mut self, text: &str) {
        match ops::parse(text) {
            Ok((reference, op)) => self.act(reference, op),
            Err(Misunderstood { reference, why }) => {
                self.faults += 1;
                if self.faults > FAULTS_MAX {
                    self.close(close::PROTOCOL, "too many frames cannot be understood");
                } else {
                    self.refuse(&reference, &Problem::new(Code::BodyInvalid, why));
                }
            }
        }
        // Whatever came first, it was not a resume that is still to come.
        self.resume_wait = None;
    }

    fn act(&mut self, reference: Ref, op: Op) {
        match op {
            Op::Ping => self.reply(&Reply::Pong),
            Op::Publish(publish) => self.publish(reference, publish),
            _ if !self.allowance.take(self.heard_at) => {
                let problem = Problem::new(Code::Throttled, "Too many frames of this kind.");
                self.strike(&reference, &problem.retry_after(Duration::from_secs(1)));
            }
            Op::Resume { last_id } => self.subscription.restart(From::parse(Some(&last_id))),
            Op::Presence { state } => {
                if let Err(error) = self.attendance.show(state) {
                    self.refuse(&reference, &Problem::invalid("/state", error.to_string()));
                }
            }
            Op::Refresh { token } => {
                let (realtime, scope) = (self.watch.realtime.clone(), self.watch.scope.clone());
                let route = self.route.clone();
                self.refresh = Some(Box::pin(async move {
                    let answer = realtime.guard.renew(&scope, &token, OpenStream::ROLE).await;
                    realtime.record_renewal(&scope, &route, &answer).await;
                    answer
                }));
            }
        }
    }

    fn publish(&mut self, reference: Ref, publish: Publish) {
        let Publish {
            kind,
            data,
            idempotency_key,
        } = publish;
        match Message::new(kind.as_deref(), data, idempotency_key.as_deref()) {
            Ok(message) => {
                let (realtime, route) = (&self.watch.realtime, &self.route);
                self.publishing
                    .get_or_insert_with(|| {
                        Box::new(Publishing::new(realtime.clone(), route.clone()))
                    })
                    .push(reference, message, self.watch.scope.clone());
            }
            Err(invalid) => {
                let problem = Problem::from(invalid);
                let (realtime, scope) = (&self.watch.realtime, &self.watch.scope);
                realtime.refused_post(scope, &self.route, &problem);
                self.refuse(&reference, &problem);
            }
        }
    }

    fn refuse(&mut self, reference: &Ref, problem: &Problem) {
        let problem = problem.to_json(self.watch.scope.ids());
        self.send(&Fault {
            op: "error",
            r#ref: reference,
            problem,
        });
    }

    /// A refusal for the rate; too many of them end the socket.
    fn strike(&mut self, reference: &Ref, problem: &Problem) {
        self.strikes += 1;
        if self.strikes > STRIKES_MAX {
            self.close(close::THROTTLED, "slow down");
        } else {
            self.refuse(reference, problem);
        }
    }

    /// The next frame for the client; `None` when the socket ends.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.closing {
            self.poll_watch(cx);
        }
        if !self.closing {
            self.poll_publishing(cx);
            self.poll_refresh(cx);
            self.out.extend(self.attendance.next());
        }
        if let Some(frame) = self.out.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if self.closing {
            return Poll::Ready(None);
        }
        if let Some(wait) = &mut self.resume_wait {
            if wait.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.resume_wait = None;
        }
        match self.subscription.poll_next(cx) {
            Poll::Ready(delivery) => {
                let frame = self.deliver(delivery);
                Poll::Ready(frame.or_else(|| self.out.pop_front()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_watch(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(tick) = self.watch.poll(cx) {
            match tick {
                Tick::Heartbeat => {
                    let silence = self.watch.realtime.config.timings.silence;
                    if self.heard_at + silence <= Instant::now() {
                        return self.close(close::GOING_AWAY, "silent");
                    }
                    self.out.push_back(ping_frame());
                }
                Tick::End(end) => return self.end(end),
            }
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::TokenEnded => self.close(close::TOKEN_ENDED, "the token has ended"),
            End::AccessRevoked => self.close(close::ACCESS_REVOKED, "access was revoked"),
            End::Drain => {
                let retry_ms = self.watch.reconnect_delay().as_millis() as u64;
                self.reply(&Reply::Drain { retry_ms });
                self.close(close::DRAINING, "draining");
            }
        }
    }

    fn poll_publishing(&mut self, cx: &mut Context<'_>) {
        while !self.closing
            && self.out.len() < FRAMES_MAX
            && let Some(publishing) = &mut self.publishing
            && let Poll::Ready((reference, answer)) = publishing.poll(cx)
        {
            self.answer(&reference, answer);
        }
    }

    fn answer(&mut self, reference: &Ref, answer: Result<Published, Refused>) {
        match answer {
            Ok(Published { appended, recorded }) => {
                self.strikes = 0;
                self.send(&Ack {
                    op: "ack",
                    r#ref: reference,
                    id: appended.cursor.to_string(),
                    duplicate: appended.duplicate,
                    audit_status: recorded.and_then(ops::degraded),
                });
            }
            Err(Refused::Message(error @ RealtimeError::Throttled(_))) => {
                self.strike(reference, &error.into());
            }
            Err(Refused::Message(error)) => self.refuse(reference, &error.into()),
            // A viewer may stay and listen.
            Err(Refused::Access(refusal @ Refusal::RoleForbidden)) => {
                self.refuse(reference, &refusal.into());
            }
            Err(Refused::Access(refusal)) => match end_of(&refusal) {
                Some(end) => self.end(end),
                None => self.refuse(reference, &refusal.into()),
            },
        }
    }

    fn poll_refresh(&mut self, cx: &mut Context<'_>) {
        let Some(refresh) = &mut self.refresh else {
            return;
        };
        let Poll::Ready(answer) = refresh.as_mut().poll(cx) else {
            return;
        };
        self.refresh = None;
        match answer {
            Ok(scope) => {
                let expires_at = scope.auth().expires_at().to_string();
                self.watch.renew(scope);
                self.reply(&Reply::Refreshed { expires_at });
            }
            // The old token goes on until it ends.
            Err(refusal) => self.refuse(&None, &refusal.into()),
        }
    }

    /// The frame of a delivery, or `None` when the socket closes.
    fn deliver(&mut self, delivery: Delivery) -> Option<Bytes> {
        let meters = &self.watch.meters;
        match delivery {
            Delivery::Event(frame) => {
                meters.delivered(frame.len());
                return Some(frame);
            }
            Delivery::Gap(gap) => {
                meters.gaps.increment(1);
                let notice = GapNotice::of(&gap).to_json();
                let members = notice.get(1..).unwrap_or_default();
                return Some(text_frame(format!("{{\"op\":\"gap\",{members}").as_bytes()));
            }
            Delivery::Cut => {
                meters.cuts.increment(1);
                self.close(close::TOO_SLOW, "too slow: resume with your cursor");
            }
            Delivery::Ended => {
                self.watch.ends(Reason::Restarted);
                self.close(
                    close::TOO_SLOW,
                    "the log goes on elsewhere: resume with your cursor",
                );
            }
            Delivery::Failed(error) => {
                tracing::warn!(%error, "a socket ends because its log cannot be read");
                self.close(close::INTERNAL, "the log cannot be read");
            }
        }
        None
    }
}
