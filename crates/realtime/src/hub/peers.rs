//! What those who follow one stream on several nodes tell each other beside its events: who is there, and gestures.
//!
//! While a socket of this node follows a stream, a task of the topic is subscribed to the stream's topic of the
//! bus: it tells what happens here and takes what is told elsewhere. Members are told again every five seconds, and
//! are believed for fifteen; who begins to hear asks the others to tell all. Of gestures the latest are told,
//! every 33 ms at most.
//!
//! **Invariant:** what is told of a stream is told on the topic of that stream alone, whose name is made of the
//! stream's, and nothing of it is kept anywhere. What is lost on the way is made good by what is told next.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use identity::{Entropy, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use smol_str::SmolStr;
use store::{Bus, Heard, Hearing};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::topic::Topic;

/// The version of what is told; of another nothing is understood.
const VERSION: u8 = 1;
/// Between two messages of news, at least.
const PACE: Duration = Duration::from_millis(33);
/// Who may come back is looked for again after this time.
const GRACE_LOOK: Duration = Duration::from_millis(500);
/// How often members are told again; a third of the time for which they are believed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Before the bus is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Bytes above which a message is full: with one more item it is below the limit of the bus.
const MESSAGE_FULL: usize = 8 * 1024;
/// Bytes of gestures that are told at a time; others wait, and newer ones take their place.
const GESTURE_BYTES: usize = 64 * 1024;

/// Other nodes, and how they are reached.
pub(crate) struct Peers {
    bus: Arc<dyn Bus>,
    /// This process, as others know it.
    node: u64,
}

/// One thing that is told.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// The node begins to hear: tell it who is there.
    Hello,
    /// A member is on the node, with what they show.
    Here(UserId, Option<Box<RawValue>>),
    /// A member is not on the node any more.
    Gone(UserId),
    /// A member of the node makes a gesture of a kind.
    Gesture(UserId, SmolStr, Box<RawValue>),
}

/// A message.
#[derive(Serialize, Deserialize)]
struct Message<S> {
    v: u8,
    node: u64,
    said: Vec<S>,
}

impl Peers {
    pub(crate) fn new(bus: Arc<dyn Bus>, entropy: &dyn Entropy) -> Self {
        let mut node = [0; 8];
        entropy.fill(&mut node);
        let node = u64::from_be_bytes(node);
        Self { bus, node }
    }

    /// Meets those who follow the stream of `topic` elsewhere, until nobody follows it here.
    pub(super) async fn meet(self: Arc<Self>, topic: Arc<Topic>) {
        let name = store::Topic::of_stream(&topic.stream);
        let meeting = Meeting {
            peers: self,
            topic,
            name,
        };
        loop {
            match meeting.peers.bus.subscribe(&meeting.name).await {
                Ok(hearing) => {
                    if meeting.attend(hearing).await == Ended::Deserted {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "followers on other nodes are not heard");
                    // What waits is not told later: it would be old.
                    meeting.topic.take_news(GESTURE_BYTES);
                    if meeting.topic.ends_sharing() {
                        return;
                    }
                    sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    fn message(&self, said: Vec<Box<RawValue>>) -> Bytes {
        let message = Message {
            v: VERSION,
            node: self.node,
            said,
        };
        serde_json::to_vec(&message).unwrap_or_default().into()
    }

    /// Messages of what is said, each as long as is good.
    fn messages(&self, said: &[Said]) -> Vec<Bytes> {
        let (mut messages, mut items, mut bytes) = (Vec::new(), Vec::new(), 0);
        for item in said.iter().filter_map(|said| to_raw_value(said).ok()) {
            bytes += item.get().len();
            items.push(item);
            if bytes > MESSAGE_FULL {
                bytes = 0;
                messages.push(self.message(std::mem::take(&mut items)));
            }
        }
        if !items.is_empty() {
            messages.push(self.message(items));
        }
        messages
    }

    /// What another node says, if it is understood.
    fn read(&self, message: &[u8]) -> Option<Message<Said>> {
        let read: Message<Said> = serde_json::from_slice(message).ok()?;
        (read.v == VERSION && read.node != self.node).then_some(read)
    }
}

/// How a meeting ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// Nobody follows here, and the others know.
    Deserted,
    /// Nothing is heard any more.
    Deaf,
}

/// One topic, met by its followers on all nodes.
struct Meeting {
    peers: Arc<Peers>,
    topic: Arc<Topic>,
    name: store::Topic,
}

impl Meeting {
    /// Tells and hears, as long as somebody follows here and something is heard.
    async fn attend(&self, mut hearing: Hearing) -> Ended {
        self.say(vec![Said::Hello]).await;
        let mut renew = interval(RENEW_EVERY);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due: Option<Instant> = None;
        let mut told_at = Instant::now();
        loop {
            let at = due.unwrap_or(told_at);
            tokio::select! {
                heard = hearing.next() => match heard {
                    Some(heard) => self.take(heard).await,
                    None => return Ended::Deaf,
                },
                _ = renew.tick() => self.topic.renew_news(),
                () = self.topic.news.notified() => {
                    due = Some(due.unwrap_or(told_at + PACE).min(told_at + PACE));
                }
                () = sleep_until(at), if due.is_some() => {
                    told_at = Instant::now();
                    due = self.tell().await.map(|wait| told_at + wait);
                    if self.topic.ends_sharing() {
                        return Ended::Deserted;
                    }
                }
            }
        }
    }

    /// Tells what is new here; after which time there is more to tell, if there is.
    async fn tell(&self) -> Option<Duration> {
        let news = self.topic.take_news(GESTURE_BYTES);
        let here = news.members.here.into_iter().map(|announced| {
            let state = announced.state.map(|state| (*state).to_owned());
            Said::Here(announced.user, state)
        });
        let gone = news.members.gone.into_iter().map(Said::Gone);
        let gestures = news.gestures.into_iter();
        let gestures = gestures.map(|(user, kind, data)| Said::Gesture(user, kind, data));
        self.say(here.chain(gone).chain(gestures).collect()).await;
        match (news.more_gestures, news.someone_may_return) {
            (true, _) => Some(PACE),
            (false, true) => Some(GRACE_LOOK),
            (false, false) => None,
        }
    }

    async fn say(&self, said: Vec<Said>) {
        for message in self.peers.messages(&said) {
            if let Err(error) = self.peers.bus.publish(&self.name, message).await {
                tracing::debug!(%error, "followers on other nodes are not told");
                return;
            }
        }
    }

    async fn take(&self, heard: Heard) {
        match heard {
            // Members are told again in time; who came meanwhile is asked for.
            Heard::Missed => {
                self.say(vec![Said::Hello]).await;
                self.topic.renew_news();
            }
            Heard::Message(message) => {
                if let Some(read) = self.peers.read(&message) {
                    self.take_said(read);
                }
            }
        }
    }

    fn take_said(&self, Message { node, said, .. }: Message<Said>) {
        for said in said {
            match said {
                Said::Hello => self.topic.renew_news(),
                Said::Here(user, state) => self.topic.here_on(node, &user, state),
                Said::Gone(user) => self.topic.gone_from(node, &user),
                Said::Gesture(user, kind, data) => {
                    self.topic.gesture_elsewhere(&user, &kind, &data);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use store::{LocalBus, MESSAGE_BYTES_MAX};

    use super::*;
    use crate::{GESTURE_BYTES_MAX, STATE_BYTES_MAX};

    /// Draws another number each time.
    struct Numbers(AtomicU8);

    impl Entropy for Numbers {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn large(bytes: usize) -> Box<RawValue> {
        RawValue::from_string(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap()
    }

    #[test]
    fn everything_that_is_said_arrives_in_messages_that_the_bus_takes() {
        let (bus, entropy) = (Arc::new(LocalBus::default()), Numbers(AtomicU8::new(1)));
        let [one, two] = [(), ()].map(|()| Peers::new(bus.clone(), &entropy));
        let user = |n: usize| -> UserId { format!("u_{n}").parse().unwrap() };
        let mut said = vec![Said::Hello];
        said.extend((0..100).map(|n| Said::Here(user(n), Some(large(STATE_BYTES_MAX)))));
        said.extend((0..100).map(|n| Said::Gone(user(n))));
        let gesture = |n| Said::Gesture(user(n), SmolStr::new("k"), large(GESTURE_BYTES_MAX));
        said.extend((0..100).map(gesture));
        let messages = one.messages(&said);
        let longest = messages.iter().map(Bytes::len).max().unwrap();
        assert!(longest <= MESSAGE_BYTES_MAX, "{longest}");
        assert!(messages.iter().all(|message| one.read(message).is_none()));
        let read = messages
            .iter()
            .flat_map(|message| two.read(message).unwrap().said);
        let shown = |said: &Said| serde_json::to_string(said).unwrap();
        let read: Vec<String> = read.map(|said| shown(&said)).collect();
        assert_eq!(read, said.iter().map(shown).collect::<Vec<_>>());
    }

    #[test]
    fn another_version_is_not_understood() {
        let entropy = Numbers(AtomicU8::new(1));
        let peers = Peers::new(Arc::new(LocalBus::default()), &entropy);
        for strange in [
            "",
            "{}",
            r#"{"v":2,"node":9,"said":[]}"#,
            r#"{"v":1,"node":9,"said":["later"]}"#,
        ] {
            assert!(peers.read(strange.as_bytes()).is_none(), "{strange}");
        }
        assert!(
            peers
                .read(br#"{"v":1,"node":9,"said":["hello"]}"#)
                .is_some()
        );
    }
}
