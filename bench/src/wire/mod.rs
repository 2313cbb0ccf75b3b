//! Just enough of HTTP/1.1, WebSocket and SSE to load a server on loopback.
//!
//! Written by hand, because the client shares two cores with the server that
//! it measures, and because the crash drill must see the bytes as they come.

pub(crate) mod frame;
pub(crate) mod http;
pub(crate) mod sse;
