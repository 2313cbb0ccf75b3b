//! Publishing over a socket: several messages on their way at once, in order.
//!
//! **Invariant:** appends begin in the order in which the messages came, each
//! admitted before the next is looked at. Messages and bytes under way are bounded.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use identity::{Action, Refusal, Scope};
use store::Appended;

use super::ops::Ref;
use crate::{Envelope, Message, PostMessage, Realtime, RealtimeError, RouteKey};

/// Messages under way on one socket.
const MESSAGES_MAX: usize = 64;
/// Bytes under way on one socket.
const BYTES_MAX: usize = 256 * 1024;

/// Why a message was refused.
pub(super) enum Refused {
    /// The caller may not publish, or not any more.
    Access(Refusal),
    /// The message was refused.
    Message(RealtimeError),
}

type Admission = BoxFuture<'static, Result<Envelope, Refused>>;
type Answer = (Ref, usize, Result<Appended, Refused>);

struct Job {
    reference: Ref,
    message: Message,
    scope: Arc<Scope>,
}

/// Messages of one socket that are under way.
pub(super) struct Publishing {
    realtime: Arc<Realtime>,
    route: Arc<RouteKey>,
    waiting: VecDeque<Job>,
    admission: Option<(Ref, usize, Admission)>,
    appends: FuturesOrdered<BoxFuture<'static, Answer>>,
    bytes: usize,
}

impl Publishing {
    pub(super) fn new(realtime: Arc<Realtime>, route: Arc<RouteKey>) -> Self {
        Self {
            realtime,
            route,
            waiting: VecDeque::new(),
            admission: None,
            appends: FuturesOrdered::new(),
            bytes: 0,
        }
    }

    /// Whether another message may be added.
    pub(super) fn has_room(&self) -> bool {
        let under_way = self.waiting.len() + self.appends.len();
        under_way < MESSAGES_MAX && self.bytes < BYTES_MAX
    }

    /// Adds a message.
    pub(super) fn push(&mut self, reference: Ref, message: Message, scope: Arc<Scope>) {
        self.bytes += message.bytes();
        self.waiting.push_back(Job {
            reference,
            message,
            scope,
        });
    }

    /// The next answer; pending also when nothing is under way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Ref, Result<Appended, Refused>)> {
        loop {
            if let Some(answer) = self.poll_admission(cx) {
                return Poll::Ready(answer);
            }
            // Polled after each admission, so that appends begin one after the other.
            if let Poll::Ready(Some((reference, bytes, answer))) = self.appends.poll_next_unpin(cx)
            {
                self.bytes -= bytes;
                return Poll::Ready((reference, answer));
            }
            if self.admission.is_some() || self.waiting.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Moves the next message from waiting to appending; returns a refusal.
    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Option<(Ref, Result<Appended, Refused>)> {
        if self.admission.is_none() {
            let job = self.waiting.pop_front()?;
            let bytes = job.message.bytes();
            let admission = admit(
                self.realtime.clone(),
                self.route.clone(),
                job.scope,
                job.message,
            );
            self.admission = Some((job.reference, bytes, Box::pin(admission)));
        }
        let (_, _, admission) = self.admission.as_mut()?;
        let Poll::Ready(admitted) = admission.as_mut().poll(cx) else {
            return None;
        };
        let (reference, bytes, _) = self.admission.take()?;
        match admitted {
            Ok(envelope) => {
                let (realtime, route) = (self.realtime.clone(), self.route.clone());
                self.appends.push_back(Box::pin(async move {
                    let appended = realtime.publisher.append(&route, envelope).await;
                    (reference, bytes, appended.map_err(Refused::Message))
                }));
                None
            }
            Err(refused) => {
                self.bytes -= bytes;
                Some((reference, Err(refused)))
            }
        }
    }
}

async fn admit(
    realtime: Arc<Realtime>,
    route: Arc<RouteKey>,
    scope: Arc<Scope>,
    message: Message,
) -> Result<Envelope, Refused> {
    realtime
        .guard
        .recheck(&scope, PostMessage::ROLE)
        .await
        .map_err(Refused::Access)?;
    realtime
        .publisher
        .admit(&scope, &route, &message)
        .await
        .map_err(Refused::Message)
}
