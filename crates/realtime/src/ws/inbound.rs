//! What a client sends, reassembled and checked against RFC 6455.
//!
//! **Invariant:** at most one message of [`MESSAGE_BYTES_MAX`] and one frame of
//! that size are held; a larger one is refused by its header, before it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::{
    Payload,
    ws::{Codec, Frame, Item},
};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio_util::codec::Decoder;

/// Largest message, whole or in fragments, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// One thing that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbox {
    /// A text message; not yet known to be UTF-8.
    Text(Bytes),
    /// A ping.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close.
    Close,
    /// Something that the protocol forbids.
    Violation(&'static str),
}

/// Reads messages from a request's payload.
pub(super) struct Inbound {
    payload: Payload,
    codec: Codec,
    buffer: BytesMut,
    fragments: Option<BytesMut>,
}

impl Inbound {
    pub(super) fn new(payload: Payload) -> Self {
        Self {
            payload,
            codec: Codec::new().max_size(MESSAGE_BYTES_MAX),
            buffer: BytesMut::new(),
            fragments: None,
        }
    }

    /// The next message; `None` when the client is gone.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbox>> {
        loop {
            if let Some(inbox) = self.decode() {
                return Poll::Ready(Some(inbox));
            }
            match Pin::new(&mut self.payload).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) if self.buffer.is_empty() => {
                    self.buffer = bytes.into();
                }
                Poll::Ready(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next message that is in the buffer.
    fn decode(&mut self) -> Option<Inbox> {
        loop {
            if announced(&self.buffer).is_some_and(|length| length > MESSAGE_BYTES_MAX as u64) {
                return Some(Inbox::Violation("a frame is too large"));
            }
            let Ok(frame) = self.codec.decode(&mut self.buffer) else {
                return Some(Inbox::Violation("a frame is malformed"));
            };
            if self.buffer.is_empty() {
                // An idle socket keeps no buffer.
                self.buffer = BytesMut::new();
            }
            if let Some(inbox) = self.inbox(frame?) {
                return Some(inbox);
            }
        }
    }

    fn inbox(&mut self, frame: Frame) -> Option<Inbox> {
        match frame {
            Frame::Text(text) => Some(Inbox::Text(text)),
            Frame::Ping(payload) => Some(Inbox::Ping(payload)),
            Frame::Pong(_) => Some(Inbox::Pong),
            Frame::Close(_) => Some(Inbox::Close),
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                Some(Inbox::Violation("binary frames are not spoken here"))
            }
            Frame::Continuation(Item::FirstText(part)) => {
                self.fragments = Some(part.into());
                None
            }
            Frame::Continuation(Item::Continue(part)) => self.join(&part, false),
            Frame::Continuation(Item::Last(part)) => self.join(&part, true),
        }
    }

    fn join(&mut self, part: &[u8], last: bool) -> Option<Inbox> {
        let message = self.fragments.get_or_insert_default();
        if message.len() + part.len() > MESSAGE_BYTES_MAX {
            return Some(Inbox::Violation("a message is too large"));
        }
        message.extend_from_slice(part);
        if !last {
            return None;
        }
        let whole = self.fragments.take().unwrap_or_default();
        Some(Inbox::Text(whole.freeze()))
    }
}

/// The payload length that the frame at the start of `buffer` announces.
fn announced(buffer: &[u8]) -> Option<u64> {
    match buffer.get(1)? & 0x7f {
        126 => Some(u16::from_be_bytes(*buffer.get(2..)?.first_chunk()?).into()),
        127 => Some(u64::from_be_bytes(*buffer.get(2..)?.first_chunk()?)),
        short => Some(short.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_as_soon_as_it_is_there() {
        assert_eq!(announced(&[0x81]), None);
        assert_eq!(announced(&[0x81, 0x85]), Some(5));
        assert_eq!(announced(&[0x81, 0xfe, 1]), None);
        assert_eq!(announced(&[0x81, 0xfe, 1, 0]), Some(256));
        let huge = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(announced(&huge), Some(i64::MAX as u64));
    }
}
