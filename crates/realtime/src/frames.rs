//! WebSocket frames that a server sends (RFC 6455, section 5).
//!
//! A server does not mask, so a frame is the same for every client: events are
//! framed once and shared.

use bytes::{BufMut, Bytes, BytesMut};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Longest payload of a control frame, in bytes.
const CONTROL_BYTES_MAX: usize = 125;

fn put_header(out: &mut BytesMut, opcode: u8, length: usize) {
    out.put_u8(opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

fn frame(opcode: u8, parts: &[&[u8]]) -> Bytes {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(length + 10);
    put_header(&mut out, opcode, length);
    for part in parts {
        out.put_slice(part);
    }
    out.freeze()
}

/// A text frame.
pub(crate) fn text_frame(text: &[u8]) -> Bytes {
    frame(TEXT, &[text])
}

/// The frame of an event.
pub(crate) fn event_frame(envelope: &[u8]) -> Bytes {
    frame(TEXT, &[b"{\"op\":\"event\",\"event\":", envelope, b"}"])
}

/// A ping without payload.
pub(crate) fn ping_frame() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// The answer to a ping; a payload that no ping may have is left out.
pub(crate) fn pong_frame(payload: &[u8]) -> Bytes {
    frame(PONG, &[payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload)])
}

/// A close with its code and reason (which are short and ours).
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (255, vec![0x81, 126, 0, 255]),
            (65535, vec![0x81, 126, 255, 255]),
            (65536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text_frame(&vec![b'x'; length]);
            assert_eq!(frame[..header.len()], header);
            assert_eq!(frame.len(), header.len() + length);
        }
    }
}
