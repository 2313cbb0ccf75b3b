//! One WebSocket: what it says, and in `hearing` what it hears.
//!
//! **Invariant:** after a close frame nothing more is sent.

mod hearing;

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use identity::{Code, Problem, Refusal, Scope};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    allowance::{Allowance, Pace},
    close,
    inbound::Inbox,
    ops::{self, Fault, Misunderstood, Op, Publish, Ref, Reply},
    publishing::Publishing,
};
use crate::{
    Message, RouteKey,
    frames::{close_frame, ping_frame, pong_frame, text_frame},
    hub::{Attendance, From, Subscription},
    watch::Watch,
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
pub(in crate::ws) struct Session {
    watch: Watch,
    subscription: Subscription,
    attendance: Attendance,
    route: Arc<RouteKey>,
    out: VecDeque<Bytes>,
    publishing: Option<Box<Publishing>>,
    refresh: Option<BoxFuture<'static, Result<Scope, Refusal>>>,
    resume_wait: Option<Pin<Box<Sleep>>>,
    allowance: Allowance,
    pace: Option<Box<Pace>>,
    heard_at: Instant,
    faults: u32,
    strikes: u32,
    closing: bool,
}

impl Session {
    pub(in crate::ws) fn new(
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
            allowance: Allowance::of_requests(now),
            pace: None,
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
    pub(in crate::ws) fn has_room(&self) -> bool {
        !self.closing
            && self.out.len() < FRAMES_MAX
            && self.publishing.as_ref().is_none_or(|p| p.has_room())
            && self.pace.as_ref().is_none_or(|pace| pace.is_open())
    }

    /// The client is gone: nothing is sent any more.
    pub(in crate::ws) fn abandon(&mut self) {
        self.closing = true;
        self.out.clear();
    }

    /// Takes what the client sent.
    pub(in crate::ws) fn take(&mut self, inbox: Inbox) {
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
            Err(Misunderstood { reference, why }) => self.misunderstand(&reference, &why),
        }
        // Whatever came first, it was not a resume that is still to come.
        self.resume_wait = None;
    }

    /// Refuses what cannot be understood; too much of it ends the socket.
    fn misunderstand(&mut self, reference: &Ref, why: &str) {
        self.faults += 1;
        if self.faults > FAULTS_MAX {
            self.close(close::PROTOCOL, "too many frames cannot be understood");
        } else {
            self.refuse(reference, &Problem::new(Code::BodyInvalid, why));
        }
    }

    fn act(&mut self, reference: Ref, op: Op) {
        match op {
            Op::Ping => self.reply(&Reply::Pong),
            Op::Publish(publish) => self.publish(reference, publish),
            Op::Gesture { .. } if !self.route.rules().gestures => {
                self.misunderstand(&reference, ops::NO_SUCH_OP);
            }
            Op::Gesture { kind, data } => self.gesture(&reference, &kind, &data),
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
                    let role = route.rules().follower;
                    let answer = realtime.guard.renew(&scope, &token, role).await;
                    realtime.record_renewal(&scope, &route, &answer).await;
                    answer
                }));
            }
        }
    }

    fn gesture(&mut self, reference: &Ref, kind: &str, data: &RawValue) {
        let now = self.heard_at;
        let pace = self.pace.get_or_insert_with(|| Box::new(Pace::new(now)));
        pace.note(now);
        self.watch.realtime.meters.gestures.increment(1);
        if let Err(error) = self.attendance.gesture(kind, data) {
            let problem = Problem::invalid(error.pointer(), error.to_string());
            self.refuse(reference, &problem);
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
}
