//! The ids by which one request is followed: `X-Request-Id` and W3C `traceparent`.

use std::fmt;

use smol_str::SmolStr;

use crate::{Entropy, id::random_text};

/// Longest request id taken from a caller, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
const TRACEPARENT_BYTES: usize = 55;

/// The target of all spans that a trace is made of.
///
/// Composition exports spans of this target, and no others. They hold words of the program alone:
/// names of routes, gates and operations, never ids, bodies or tokens. A span that has a field
/// `traceparent` begins what a server adds to a trace; others are made only inside of one.
pub const TRACE: &str = "tenantry::trace";

/// Identifies one request; equal to the `trace_id` of its events and problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(SmolStr);

impl RequestId {
    /// Takes the caller's id if it is `[A-Za-z0-9._-]{1,128}`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        valid.then(|| Self(SmolStr::new(text)))
    }

    /// A fresh id.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(SmolStr::new(random_text(entropy, 22)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A W3C trace context, version 00 (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent(SmolStr);

impl Traceparent {
    /// Takes a caller's header if it is valid; invalid ones are ignored, as W3C asks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == TRACEPARENT_BYTES && {
            let mut parts = text.split('-');
            parts.next() == Some("00")
                && parts.next().is_some_and(|id| is_id(id, 32))
                && parts.next().is_some_and(|id| is_id(id, 16))
                && parts.next().is_some_and(|flags| is_hex(flags, 2))
                && parts.next().is_none()
        };
        valid.then(|| Self(SmolStr::new(text)))
    }

    /// Starts a trace, for callers that brought none.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0_u8; 24];
        entropy.fill(&mut bytes);
        let mut text = String::with_capacity(TRACEPARENT_BYTES);
        text.push_str("00-");
        for (at, byte) in bytes.iter().enumerate() {
            if at == 16 {
                text.push('-');
            }
            // An all-zero id is invalid; the first byte of each is never zero.
            let byte = if at == 0 || at == 16 { byte | 1 } else { *byte };
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        text.push_str("-01");
        Self(SmolStr::new(text))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever began the trace keeps it (the flag `sampled`).
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        let flags = self.0.get(TRACEPARENT_BYTES - 2..).unwrap_or_default();
        u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|b| b != b'0')
}

/// What identifies a request, from its first byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestIds {
    /// The caller's `X-Request-Id`, or a generated one.
    pub request_id: RequestId,
    /// The caller's `traceparent`, or a new one.
    pub traceparent: Traceparent,
    /// Whether the caller asks for privacy (`Sec-GPC: 1`). It goes with the ids, so that
    /// whatever records the request obeys it.
    pub gpc: bool,
}

impl RequestIds {
    /// Takes what the caller sent where it is valid, and makes the rest.
    #[must_use]
    pub fn from_headers(
        request_id: Option<&str>,
        traceparent: Option<&str>,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            request_id: request_id
                .and_then(RequestId::parse)
                .unwrap_or_else(|| RequestId::generate(entropy)),
            traceparent: traceparent
                .and_then(Traceparent::parse)
                .unwrap_or_else(|| Traceparent::generate(entropy)),
            gpc: false,
        }
    }

    /// The same for a caller who asks for privacy, or does not.
    #[must_use]
    pub fn with_gpc(self, gpc: bool) -> Self {
        Self { gpc, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_trace_contexts_are_taken() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Traceparent::parse(good).unwrap().as_str(), good);
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let text = format!("{}{flags}", &good[..53]);
            assert_eq!(Traceparent::parse(&text).unwrap().is_sampled(), sampled);
        }
        for bad in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        ] {
            assert!(Traceparent::parse(bad).is_none(), "{bad:?} was taken");
        }
    }

    #[test]
    fn request_ids_are_bounded() {
        assert!(RequestId::parse("a.B_9-").is_some());
        for bad in ["", "a b", "ä", &"x".repeat(129)] {
            assert!(RequestId::parse(bad).is_none());
        }
    }
}
