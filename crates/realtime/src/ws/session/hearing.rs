//! What a socket hears: the answers to what it said, what others do, events, and why it ends.

use std::task::{Context, Poll};

use bytes::Bytes;
use identity::Refusal;
use tokio::time::Instant;

use super::{FRAMES_MAX, Session};
use crate::{
    RealtimeError,
    frames::{ping_frame, text_frame},
    hub::Delivery,
    record::Reason,
    watch::{End, Tick, end_of},
    wire::GapNotice,
    ws::{
        close,
        ops::{self, Ack, Ref, Reply},
        publishing::{Published, Refused},
    },
};

impl Session {
    /// The next frame for the client; `None` when the socket ends.
    pub(in crate::ws) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.closing {
            self.poll_watch(cx);
        }
        if !self.closing {
            self.poll_publishing(cx);
            self.poll_refresh(cx);
            self.poll_pace(cx);
            self.hear_others();
        }
        if let Some(frame) = self.out.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if self.closing {
            return Poll::Ready(None);
        }
        if let Some(wait) = &mut self.resume_wait {
            if wait.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.resume_wait = None;
        }
        match self.subscription.poll_next(cx) {
            Poll::Ready(delivery) => {
                let frame = self.deliver(delivery);
                Poll::Ready(frame.or_else(|| self.out.pop_front()))
            }
            Poll::Pending => {
                // Only now is the waker known to those who tell: what they told meanwhile is looked for.
                self.hear_others();
                self.out
                    .pop_front()
                    .map_or(Poll::Pending, |frame| Poll::Ready(Some(frame)))
            }
        }
    }

    /// What others show and do, if nothing waits to be sent before.
    fn hear_others(&mut self) {
        if self.out.is_empty() {
            self.out.extend(self.attendance.next());
        }
    }

    fn poll_pace(&mut self, cx: &mut Context<'_>) {
        if let Some(pace) = &mut self.pace {
            pace.poll(cx);
        }
    }

    fn poll_watch(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(tick) = self.watch.poll(cx) {
            match tick {
                Tick::Heartbeat => {
                    let silence = self.watch.realtime.config.timings.silence;
                    if self.heard_at + silence <= Instant::now() {
                        return self.close(close::GOING_AWAY, "silent");
                    }
                    self.out.push_back(ping_frame());
                }
                Tick::End(end) => return self.end(end),
            }
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::TokenEnded => self.close(close::TOKEN_ENDED, "the token has ended"),
            End::AccessRevoked => self.close(close::ACCESS_REVOKED, "access was revoked"),
            End::Drain => {
                let retry_ms = self.watch.reconnect_delay().as_millis() as u64;
                self.reply(&Reply::Drain { retry_ms });
                self.close(close::DRAINING, "draining");
            }
        }
    }

    fn poll_publishing(&mut self, cx: &mut Context<'_>) {
        while !self.closing
            && self.out.len() < FRAMES_MAX
            && let Some(publishing) = &mut self.publishing
            && let Poll::Ready((reference, answer)) = publishing.poll(cx)
        {
            self.answer(&reference, answer);
        }
    }

    fn answer(&mut self, reference: &Ref, answer: Result<Published, Refused>) {
        match answer {
            Ok(Published { appended, recorded }) => {
                self.strikes = 0;
                self.send(&Ack {
                    op: "ack",
                    r#ref: reference,
                    id: appended.cursor.to_string(),
                    duplicate: appended.duplicate,
                    audit_status: recorded.and_then(ops::degraded),
                });
            }
            Err(Refused::Message(error @ RealtimeError::Throttled(_))) => {
                self.strike(reference, &error.into());
            }
            Err(Refused::Message(error)) => self.refuse(reference, &error.into()),
            // A viewer may stay and listen.
            Err(Refused::Access(refusal @ Refusal::RoleForbidden)) => {
                self.refuse(reference, &refusal.into());
            }
            Err(Refused::Access(refusal)) => match end_of(&refusal) {
                Some(end) => self.end(end),
                None => self.refuse(reference, &refusal.into()),
            },
        }
    }

    fn poll_refresh(&mut self, cx: &mut Context<'_>) {
        let Some(refresh) = &mut self.refresh else {
            return;
        };
        let Poll::Ready(answer) = refresh.as_mut().poll(cx) else {
            return;
        };
        self.refresh = None;
        match answer {
            Ok(scope) => {
                let expires_at = scope.auth().expires_at().to_string();
                self.watch.renew(scope);
                self.reply(&Reply::Refreshed { expires_at });
            }
            // The old token goes on until it ends.
            Err(refusal) => self.refuse(&None, &refusal.into()),
        }
    }

    /// The frame of a delivery, or `None` when the socket closes.
    fn deliver(&mut self, delivery: Delivery) -> Option<Bytes> {
        let meters = &self.watch.meters;
        match delivery {
            Delivery::Event(frame) => {
                meters.delivered(frame.len());
                return Some(frame);
            }
            Delivery::Gap(gap) => {
                meters.gaps.increment(1);
                let notice = GapNotice::of(&gap).to_json();
                let members = notice.get(1..).unwrap_or_default();
                return Some(text_frame(format!("{{\"op\":\"gap\",{members}").as_bytes()));
            }
            Delivery::Cut => {
                meters.cuts.increment(1);
                self.close(close::TOO_SLOW, "too slow: resume with your cursor");
            }
            Delivery::Ended => {
                self.watch.ends(Reason::Restarted);
                self.close(
                    close::TOO_SLOW,
                    "the log goes on elsewhere: resume with your cursor",
                );
            }
            Delivery::Failed(error) => {
                tracing::warn!(%error, "a socket ends because its log cannot be read");
                self.close(close::INTERNAL, "the log cannot be read");
            }
        }
        None
    }
}
