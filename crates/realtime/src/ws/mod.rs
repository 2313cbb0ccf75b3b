//! WebSockets: a response body that reads the request's payload and writes
//! frames, both when the connection's own task polls it.
//!
//! As with SSE there is no task and no queue of events per socket. The rules
//! are in `session`, which knows no framework.
//!
//! **Invariant:** what a client sends is read only while there is room for the
//! answers, so a client that writes and never reads stops itself.

mod allowance;
mod close;
mod inbound;
mod ops;
mod publishing;
mod session;

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::ws::{HandshakeError, handshake_response, verify_handshake};
use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::header,
    web::Payload,
};
use bytes::Bytes;
use identity::{Code, Problem, http::record_header};

use self::{inbound::Inbound, session::Session};
use crate::{RouteKey, hub::From, service::OpenedStream};

/// The subprotocol.
const PROTOCOL: &str = "tenantry.v1";
/// Messages taken in one turn, so that one socket does not keep a worker.
const MESSAGES_PER_TURN: usize = 32;

/// A handshake that was accepted, but not yet answered.
pub(crate) struct Handshake(actix_http::ResponseBuilder);

/// Checks the handshake before a stream is opened for it.
pub(crate) fn handshake(req: &HttpRequest) -> Result<Handshake, Problem> {
    verify_handshake(req.head()).map_err(|error| refuse(&error))?;
    let mut response = handshake_response(req.head());
    if offers_protocol(req) {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL));
    }
    Ok(Handshake(response))
}

fn refuse(error: &HandshakeError) -> Problem {
    Problem::new(Code::UpgradeRequired, format!("{error}."))
        .with_header("upgrade", "websocket")
        .with_header("sec-websocket-version", "13")
}

fn offers_protocol(req: &HttpRequest) -> bool {
    req.headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|offered| offered.trim() == PROTOCOL)
}

/// The response that carries the socket.
pub(crate) fn respond(
    handshake: Handshake,
    payload: Payload,
    stream: OpenedStream,
    route: RouteKey,
    from: &From,
) -> Result<HttpResponse, Problem> {
    let Handshake(mut response) = handshake;
    let OpenedStream {
        watch,
        subscription,
        recorded,
    } = stream;
    if let Some(recorded) = recorded {
        response.insert_header(record_header(recorded));
    }
    let body = WsBody {
        inbound: Inbound::new(payload.into_inner()),
        session: Session::new(watch, subscription, route, *from == From::Live),
    };
    let response = response.message_body(BoxBody::new(body));
    let response = response.map_err(|error| Problem::unavailable(&error))?;
    Ok(response.into())
}

struct WsBody {
    inbound: Inbound,
    session: Session,
}

impl WsBody {
    /// Reads what has arrived while the session has room; says whether more may
    /// be there. A session without room has frames to send or will be woken by
    /// an append, and is read again after each.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            if !self.session.has_room() {
                return false;
            }
            match self.inbound.poll_next(cx) {
                Poll::Ready(Some(message)) => self.session.take(message),
                Poll::Ready(None) => {
                    self.session.abandon();
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        true
    }
}

impl MessageBody for WsBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        let more = this.read(cx);
        let frame = this.session.poll_frame(cx);
        if frame.is_pending() && more {
            cx.waker().wake_by_ref();
        }
        frame.map(|frame| frame.map(Ok))
    }
}
