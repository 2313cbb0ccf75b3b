//! Publishing over a socket: several messages on their way at once, in order.
//!
//! **Invariant:** appends begin in the order in which the messages came, each
//! admitted before the next is looked at. Messages and bytes under way are bounded.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use identity::{Problem, Recorded, Refusal, Scope};
use store::Appended;

use super::ops::Ref;
use crate::{Envelope, Message, Realtime, RealtimeError, RouteKey};

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

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Access(refusal) => refusal.clone().into(),
            Refused::Message(error) => error.clone().into(),
        }
    }
}

type Admission = BoxFuture<'static, Result<(Envelope, Message), Refused>>;
type Answer = (Ref, usize, Result<Published, Refused>);

/// A message that is durable.
pub(super) struct Published {
    pub(super) appended: Appended,
    /// Its record; `None` where nothing is recorded.
    pub(super) recorded: Option<Recorded>,
}

struct Job {
    reference: Ref,
    message: Message,
    scope: Arc<Scope>,
}

/// An append and its record, which go on in a task of their own when the socket
/// is dropped: a message that may be durable is never left without a record.
struct Lasting(Option<BoxFuture<'static, Answer>>);

impl Lasting {
    fn new(answer: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self(Some(Box::pin(answer)))
    }
}

impl Future for Lasting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(answer) = &mut self.0 else {
            return Poll::Pending;
        };
        let answer = ready!(answer.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(answer)
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(answer));
        }
    }
}

/// Messages of one socket that are under way.
pub(super) struct Publishing {
    realtime: Arc<Realtime>,
    route: Arc<RouteKey>,
    waiting: VecDeque<Job>,
    admission: Option<(Ref, usize, Arc<Scope>, Admission)>,
    appends: FuturesOrdered<Lasting>,
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
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Ref, Result<Published, Refused>)> {
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
    fn poll_admission(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(Ref, Result<Published, Refused>)> {
        if self.admission.is_none() {
            let job = self.waiting.pop_front()?;
            let bytes = job.message.bytes();
            let admission = admit(
                self.realtime.clone(),
                self.route.clone(),
                job.scope.clone(),
                job.message,
            );
            self.admission = Some((job.reference, bytes, job.scope, Box::pin(admission)));
        }
        let (.., admission) = self.admission.as_mut()?;
        let Poll::Ready(admitted) = admission.as_mut().poll(cx) else {
            return None;
        };
        let (reference, bytes, scope, _) = self.admission.take()?;
        match admitted {
            Ok((envelope, message)) => {
                let (realtime, route) = (self.realtime.clone(), self.route.clone());
                self.appends.push_back(Lasting::new(async move {
                    let answer = realtime.append(&scope, &route, envelope, &message).await;
                    let recorded = realtime.record_post(&scope, &route, &answer).await;
                    let answer = answer.map(|appended| Published { appended, recorded });
                    (reference, bytes, answer.map_err(Refused::Message))
                }));
                None
            }
            Err(refused) => {
                self.bytes -= bytes;
                let problem = Problem::from(&refused);
                self.realtime.refused_post(&scope, &self.route, &problem);
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
) -> Result<(Envelope, Message), Refused> {
    realtime
        .guard
        .recheck(&scope, route.rules().speaker)
        .await
        .map_err(Refused::Access)?;
    let admitted = realtime.publisher.admit(&scope, &route, &message).await;
    let envelope = admitted.map_err(Refused::Message)?;
    Ok((envelope, message))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_ended_without_its_socket() {
        let (durable, appended) = oneshot::channel::<()>();
        let (record, recorded) = oneshot::channel();
        let mut answer = Box::pin(Lasting::new(async move {
            appended.await.unwrap();
            record.send("recorded").unwrap();
            (None, 0, Err(Refused::Message(RealtimeError::Draining)))
        }));
        assert!(futures_util::poll!(&mut answer).is_pending());
        drop(answer);
        durable.send(()).unwrap();
        assert_eq!(recorded.await, Ok("recorded"));
    }
}
