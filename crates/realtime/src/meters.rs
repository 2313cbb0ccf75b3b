//! What is counted. No label names a tenant: their number has no bound.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use store::{AppendError, Appended};

use crate::rules::{CANVAS, CHAT, Rules};

/// How a stream reaches its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Server-sent events.
    Sse,
    /// A WebSocket.
    Ws,
}

impl Transport {
    /// Its name, in labels and paths.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Ws => "ws",
        }
    }
}

/// Handles of one transport's figures.
pub(crate) struct TransportMeters {
    pub(crate) connections: Gauge,
    pub(crate) deliveries: Counter,
    pub(crate) bytes: Counter,
    pub(crate) cuts: Counter,
    pub(crate) gaps: Counter,
}

impl TransportMeters {
    pub(crate) fn new(rail: &'static str, transport: Transport) -> Arc<Self> {
        let labels = [("rail", rail), ("transport", transport.as_str())];
        Arc::new(Self {
            connections: gauge!("tenantry_realtime_connections", &labels),
            deliveries: counter!("tenantry_realtime_deliveries_total", &labels),
            bytes: counter!("tenantry_realtime_delivered_bytes_total", &labels),
            cuts: counter!("tenantry_realtime_slow_consumer_cuts_total", &labels),
            gaps: counter!("tenantry_realtime_gaps_total", &labels),
        })
    }

    /// One event went out.
    pub(crate) fn delivered(&self, bytes: usize) {
        self.deliveries.increment(1);
        self.bytes.increment(bytes as u64);
    }
}

/// Handles of one rail's figures.
pub(crate) struct RailMeters {
    sse: Arc<TransportMeters>,
    ws: Arc<TransportMeters>,
    publish_seconds: Histogram,
    publish_errors: Counter,
}

impl RailMeters {
    fn new(rail: &'static str) -> Self {
        Self {
            sse: TransportMeters::new(rail, Transport::Sse),
            ws: TransportMeters::new(rail, Transport::Ws),
            publish_seconds: histogram!("tenantry_realtime_publish_seconds", "rail" => rail),
            publish_errors: counter!("tenantry_realtime_publish_errors_total", "rail" => rail),
        }
    }

    pub(crate) fn over(&self, transport: Transport) -> &Arc<TransportMeters> {
        match transport {
            Transport::Sse => &self.sse,
            Transport::Ws => &self.ws,
        }
    }

    /// One event was appended, or was not. That it was there before is no failure.
    pub(crate) fn published(&self, took: Duration, answer: &Result<Appended, AppendError>) {
        self.publish_seconds.record(took.as_secs_f64());
        if matches!(answer, Err(AppendError::Store(_))) {
            self.publish_errors.increment(1);
        }
    }
}

/// Handles of all figures, looked up once.
pub(crate) struct Meters {
    chat: RailMeters,
    canvas: RailMeters,
    /// Gestures that were taken.
    pub(crate) gestures: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            chat: RailMeters::new(CHAT),
            canvas: RailMeters::new(CANVAS),
            gestures: counter!("tenantry_realtime_gestures_total"),
        }
    }

    pub(crate) fn of(&self, rules: &Rules) -> &RailMeters {
        if rules.rail == CANVAS {
            &self.canvas
        } else {
            &self.chat
        }
    }
}
