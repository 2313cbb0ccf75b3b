//! Server-sent events: a response body that takes from the hub when it is polled.
//!
//! There is no task and no queue per stream. The connection's own task polls
//! the body; a socket that takes nothing polls nothing, and costs its position.
//!
//! **Invariant:** each block ends with a blank line, and carries the cursor by
//! which the client resumes after it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    http::header,
};
use bytes::Bytes;
use identity::http::record_header;

use crate::{
    hub::{Delivery, Subscription},
    record::Reason,
    service::OpenedStream,
    watch::{End, Tick, Watch},
    wire::GapNotice,
};

const HEARTBEAT: Bytes = Bytes::from_static(b": \n\n");

/// The response that carries a stream.
pub(crate) fn respond(stream: OpenedStream, live: bool) -> HttpResponse {
    let OpenedStream {
        watch,
        subscription,
        recorded,
    } = stream;
    let mut response = HttpResponse::Ok();
    if let Some(recorded) = recorded {
        response.insert_header(record_header(recorded));
    }
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .body(SseBody {
            watch,
            subscription,
            phase: Phase::Hello { live },
        })
}

enum Phase {
    /// The first bytes go out at once; a stream that starts live is told where,
    /// so that its client can resume before the first event.
    Hello {
        live: bool,
    },
    Open,
    Done,
}

struct SseBody {
    watch: Watch,
    subscription: Subscription,
    phase: Phase,
}

impl SseBody {
    fn hello(&self, live: bool) -> Bytes {
        let retry = self.watch.reconnect_delay().as_millis();
        let hello = if live {
            format!(
                ": ok\nretry: {retry}\nid: {}\n\n",
                self.subscription.cursor()
            )
        } else {
            format!(": ok\nretry: {retry}\n\n")
        };
        hello.into()
    }

    fn farewell(&self, end: End) -> Bytes {
        let farewell = match end {
            End::Drain => {
                let retry = self.watch.reconnect_delay().as_millis();
                format!("event: drain\nretry: {retry}\ndata: {{\"retry_ms\":{retry}}}\n\n")
            }
            End::TokenEnded => unauthorized("token_ended"),
            End::AccessRevoked => unauthorized("access_revoked"),
        };
        farewell.into()
    }

    fn deliver(&mut self, delivery: Delivery) -> Option<Bytes> {
        let meters = &self.watch.meters;
        match delivery {
            Delivery::Event(block) => {
                meters.delivered(block.len());
                Some(block)
            }
            Delivery::Gap(gap) => {
                meters.gaps.increment(1);
                let data = GapNotice::of(&gap).to_json();
                let id = gap.bounds.before_oldest();
                Some(format!("id: {id}\nevent: gap\ndata: {data}\n\n").into())
            }
            Delivery::Cut => {
                meters.cuts.increment(1);
                self.watch.ends(Reason::Slow);
                None
            }
            Delivery::Ended => {
                self.watch.ends(Reason::Restarted);
                None
            }
            Delivery::Failed(error) => {
                tracing::warn!(%error, "a stream ends because its log cannot be read");
                self.watch.ends(Reason::Failed);
                None
            }
        }
    }
}

fn unauthorized(reason: &str) -> String {
    format!("event: unauthorized\ndata: {{\"reason\":\"{reason}\"}}\n\n")
}

impl MessageBody for SseBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        match this.phase {
            Phase::Done => return Poll::Ready(None),
            Phase::Hello { live } => {
                this.phase = Phase::Open;
                return Poll::Ready(Some(Ok(this.hello(live))));
            }
            Phase::Open => {}
        }
        match this.watch.poll(cx) {
            Poll::Ready(Tick::Heartbeat) => return Poll::Ready(Some(Ok(HEARTBEAT))),
            Poll::Ready(Tick::End(end)) => {
                this.phase = Phase::Done;
                return Poll::Ready(Some(Ok(this.farewell(end))));
            }
            Poll::Pending => {}
        }
        let delivery = ready!(this.subscription.poll_next(cx));
        let block = this.deliver(delivery);
        if block.is_none() {
            this.phase = Phase::Done;
        }
        Poll::Ready(block.map(Ok))
    }
}
