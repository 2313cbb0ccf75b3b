//! The chain: the pure gates in their order, on a snapshot.

use crate::{
    Ask, Snapshot, Verdict,
    ask::Question,
    gates::{PURE, PureGate},
    verdict::Gate,
};
use identity::{TRACE, Timestamp};
use tracing::{Level, Span, debug_span, span_enabled};

/// Measures how long gates take; composition passes the machine's monotonic clock in.
pub trait Stopwatch: Send + Sync {
    /// Nanoseconds since some fixed moment; never less than before.
    fn nanos(&self) -> u64;
}

/// How far the chain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Until a gate refuses.
    FirstRefusal,
    /// Through all gates.
    All,
}

/// Asks the pure gates in order: all but the budget, which is asked last because it reserves.
///
/// Nothing here waits, fails or panics.
#[must_use]
pub fn run_pure(
    ask: &Ask<'_>,
    rows: Snapshot<'_>,
    now: Timestamp,
    extent: Extent,
    watch: &dyn Stopwatch,
) -> Vec<Verdict> {
    run(&Question { ask, rows, now }, &PURE, extent, watch)
}

/// What a gate is in a trace.
pub(crate) fn span(gate: Gate) -> Span {
    debug_span!(target: TRACE, "gate", otel.name = format_args!("gate {gate}"))
}

pub(crate) fn run(
    question: &Question<'_>,
    gates: &[(Gate, PureGate)],
    extent: Extent,
    watch: &dyn Stopwatch,
) -> Vec<Verdict> {
    // Room for the budget's verdict, too.
    let mut verdicts = Vec::with_capacity(Gate::ALL.len());
    let traced = span_enabled!(target: TRACE, Level::DEBUG);
    let mut began = watch.nanos();
    for (gate, judge) in gates {
        // Asked once: spans that nobody looks at would cost more than the gates.
        let refusal = match traced {
            true => span(*gate).in_scope(|| judge(question)),
            false => judge(question),
        };
        let ended = watch.nanos();
        let refused = refusal.is_some();
        verdicts.push(Verdict {
            gate: *gate,
            refusal,
            nanos: ended.saturating_sub(began),
        });
        if refused && extent == Extent::FirstRefusal {
            break;
        }
        began = ended;
    }
    verdicts
}
