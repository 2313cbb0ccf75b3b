//! The thread that sends: no request waits for it, and it waits for no request.

use std::{mem, thread, time::Duration};

use identity::{Clock, Timestamp};
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_sdk::trace::SpanData;
use tokio::{
    runtime::Builder,
    sync::{mpsc::Receiver, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    collector::{Address, Collector},
    figures,
    words::Words,
};
use crate::ambient::SystemClock;

/// Spans of one export.
const BATCH_SPANS: usize = 512;
/// Spans wait this long for others to be sent with.
const GATHER: Duration = Duration::from_millis(200);
/// Figures are sent this often.
const FIGURES_EVERY: Duration = Duration::from_secs(15);
/// What still waits when the server stops is sent within this time, or lost.
pub(super) const FLUSH_MAX: Duration = Duration::from_secs(3);

/// The thread that sends.
pub(super) struct Sending {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Sending {
    /// Starts to send what waits in `spans`, and the figures of `prometheus`.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub(super) fn start(
        address: Address,
        words: Words,
        spans: Receiver<SpanData>,
        prometheus: PrometheusHandle,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let send = move || {
            runtime.block_on(async {
                let sender = Sender {
                    collector: Collector::at(address, words),
                    spans,
                    batch: Vec::with_capacity(BATCH_SPANS),
                    prometheus,
                    began: SystemClock.now(),
                };
                sender.run(stopping).await;
            });
            let _ = done.send(());
        };
        thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(send)?;
        Ok(Self { stop, stopped })
    }

    /// Sends what waits, and ends; after [`FLUSH_MAX`] it is left alone.
    pub(super) async fn flush(self) {
        let _ = self.stop.send(());
        if timeout(FLUSH_MAX, self.stopped).await.is_err() {
            tracing::warn!("telemetry was left unsent: its collector does not answer");
        }
    }
}

struct Sender {
    collector: Collector,
    spans: Receiver<SpanData>,
    batch: Vec<SpanData>,
    prometheus: PrometheusHandle,
    began: Timestamp,
}

impl Sender {
    async fn run(mut self, mut stopping: oneshot::Receiver<()>) {
        let mut figures = interval(FIGURES_EVERY);
        figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = gather(&mut self.spans, &mut self.batch) => self.send_spans().await,
                _ = figures.tick() => self.send_figures().await,
                _ = &mut stopping => break,
            }
        }
        self.spans.close();
        loop {
            gather(&mut self.spans, &mut self.batch).await;
            if self.batch.is_empty() {
                break;
            }
            self.send_spans().await;
        }
        self.send_figures().await;
    }

    async fn send_spans(&mut self) {
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH_SPANS));
        self.collector.take_spans(batch).await;
    }

    async fn send_figures(&mut self) {
        let scope = figures::read(&self.prometheus.render(), self.began, SystemClock.now());
        self.collector.take_metrics(vec![scope]).await;
    }
}

/// Waits for spans, and then a little for more. What was gathered stays when the wait is given up.
async fn gather(spans: &mut Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    if batch.is_empty() && spans.recv_many(batch, BATCH_SPANS).await == 0 {
        return;
    }
    let more = async {
        while batch.len() < BATCH_SPANS {
            let room = BATCH_SPANS - batch.len();
            if spans.recv_many(batch, room).await == 0 {
                break;
            }
        }
    };
    let _ = timeout(GATHER, more).await;
}
