//! WebSocket frames (RFC 6455, section 5), as a client sends and reads them.

use anyhow::{Context, Result, bail};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The header lines of a handshake. The key is the one of RFC 6455, section 1.3.
pub(crate) const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The largest frame that is taken; the server's events are far below it.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// A client's frame. Its mask is zero: legal, and nothing on loopback is confused by it.
pub(crate) fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | short as u8),
        length => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Bytes of a connection, from which whole frames are taken.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    at: usize,
}

impl Frames {
    /// Adds what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame: its opcode and payload.
    ///
    /// # Errors
    /// When the server fragments, masks, or sends a frame that is too large.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &[u8])>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((head, length)) = header(rest)? else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            bail!("a frame of {length} bytes");
        }
        let Some(payload) = rest.get(head..head + length) else {
            return Ok(None);
        };
        let first = rest.first().context("a frame has a first byte")?;
        self.at += head + length;
        Ok(Some((first & 0x0f, payload)))
    }
}

/// Length of the header and of the payload, once the header is whole.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & FINAL == 0 || second & MASKED != 0 {
        bail!("a fragmented or masked frame");
    }
    Ok(match (second & 0x7f, rest) {
        (126, [a, b, ..]) => Some((4, usize::from(u16::from_be_bytes([*a, *b])))),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            Some((10, usize::try_from(length)?))
        }
        (126 | 127, _) => None,
        (short, _) => Some((2, usize::from(short))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let mut sent = vec![0x81, 2, b'h', b'i', 0x89, 0];
        sent.extend_from_slice(&[0x81, 126, 1, 0]);
        sent.extend_from_slice(&[b'x'; 256]);
        for cut in 1..sent.len() {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for part in sent.chunks(cut) {
                frames.feed(part);
                while let Some((opcode, payload)) = frames.next().unwrap() {
                    got.push((opcode, payload.len()));
                }
            }
            assert_eq!(got, [(TEXT, 2), (PING, 0), (TEXT, 256)], "cut at {cut}");
        }
    }

    #[test]
    fn a_client_masks_what_it_sends() {
        assert_eq!(encode(TEXT, b"hi"), [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        assert_eq!(encode(TEXT, &[0; 200])[..4], [0x81, 0xfe, 0, 200]);
    }

    #[test]
    fn fragments_are_refused() {
        let mut frames = Frames::default();
        frames.feed(&[0x01, 1, b'a']);
        assert!(frames.next().is_err());
    }
}
