//! The one connection on which this process hears: that streams have grown, and what the bus tells.
//!
//! Redis tells each event on a channel of its stream, without the body. A connection
//! is subscribed to the channels of the streams that are followed, so what a node
//! hears grows with what it follows and what happens there, and not with the number of
//! streams. When the connection ends it is made again, everything is subscribed again, and
//! everybody is told that something may have been missed.
//!
//! **Invariant:** an ear is live from the server's confirmation of its subscription until the
//! connection ends, and whoever waits for something first waits until it is.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use deadpool_redis::redis::{
    Client, Msg, RedisResult, Value,
    aio::{PubSub, PubSubSink},
};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use store::Heard;
use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

use crate::{error::reason, lanes::Lanes};

/// Channels that are subscribed to at once.
const CHANNELS_AT_ONCE: usize = 1000;
/// How often a connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(3);
/// Longest wait for a connection, or for any answer over it.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(3);
/// Pauses between attempts to connect grow from the first to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

type Channel = Arc<str>;

/// Hears for the whole process.
pub(crate) struct Listener {
    ears: Arc<Ears>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Ears {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    by_channel: HashMap<Channel, Ear>,
    /// Channels whose subscription may have to change.
    changed: HashSet<Channel>,
}

/// One channel, for all who listen to it.
#[derive(Default)]
struct Ear {
    listeners: usize,
    live: watch::Sender<bool>,
    /// Whether it was ever live.
    was_live: bool,
    /// How often the bell rang.
    rings: watch::Sender<u64>,
    told: Option<broadcast::Sender<Heard>>,
}

/// A place at a channel; dropping it gives the place back.
pub(crate) struct Place {
    listener: Arc<Listener>,
    channel: Channel,
    live: watch::Receiver<bool>,
}

/// Rings when a stream has grown, or may have.
pub(crate) struct Bell {
    place: Place,
    rings: watch::Receiver<u64>,
}

impl Listener {
    /// Starts to connect; who listens before that has worked waits.
    pub(crate) fn start(client: Client, lanes: &Arc<Lanes>) -> Arc<Self> {
        let ears = Arc::<Ears>::default();
        let task = tokio::spawn(listen(Arc::clone(&ears), client, Arc::clone(lanes)));
        Arc::new(Self { ears, task })
    }

    /// The bell of a stream.
    pub(crate) fn follow(self: &Arc<Self>, channel: &Channel) -> Bell {
        let (place, rings) = self.join(channel, |ear| ear.rings.subscribe());
        Bell { place, rings }
    }

    /// What is told on a channel of the bus; `backlog` messages wait for each who listens.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        channel: &Channel,
        backlog: usize,
    ) -> (Place, broadcast::Receiver<Heard>) {
        self.join(channel, |ear| {
            let told = ear
                .told
                .get_or_insert_with(|| broadcast::channel(backlog).0);
            told.subscribe()
        })
    }

    fn join<T>(
        self: &Arc<Self>,
        channel: &Channel,
        take: impl FnOnce(&mut Ear) -> T,
    ) -> (Place, T) {
        let mut guard = self.ears.state.lock();
        let state = &mut *guard;
        let ear = state
            .by_channel
            .entry(Arc::clone(channel))
            .or_insert_with(|| {
                state.changed.insert(Arc::clone(channel));
                Ear::default()
            });
        ear.listeners += 1;
        let place = Place {
            listener: Arc::clone(self),
            channel: Arc::clone(channel),
            live: ear.live.subscribe(),
        };
        let taken = take(ear);
        drop(guard);
        self.ears.changed.notify_one();
        (place, taken)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ears = &self.listener.ears;
        let mut state = ears.state.lock();
        if let Some(ear) = state.by_channel.get_mut(&self.channel) {
            ear.listeners -= 1;
            if ear.listeners == 0 {
                state.by_channel.remove(&self.channel);
                state.changed.insert(Arc::clone(&self.channel));
                ears.changed.notify_one();
            }
        }
    }
}

impl Place {
    /// Waits until the channel is heard.
    pub(crate) async fn live(&mut self) {
        // The ear is there as long as its place, so this ends well or not at all.
        let _ = self.live.wait_for(|live| *live).await;
    }
}

impl Bell {
    /// Waits for the next ring.
    pub(crate) async fn rung(&mut self) {
        let _ = self.rings.changed().await;
    }

    /// Waits until rings are heard, and forgets those up to now.
    pub(crate) async fn heard(&mut self) {
        self.place.live().await;
        self.rings.mark_unchanged();
    }
}

impl Ears {
    /// The next channels to subscribe to and to unsubscribe from, if something has changed.
    fn changes(&self, subscribed: &HashSet<Channel>) -> Option<(Vec<Channel>, Vec<Channel>)> {
        let mut state = self.state.lock();
        if state.changed.is_empty() {
            return None;
        }
        let some: Vec<Channel> = state
            .changed
            .iter()
            .take(CHANNELS_AT_ONCE)
            .cloned()
            .collect();
        let (mut to_add, mut to_remove) = (Vec::new(), Vec::new());
        for channel in some {
            state.changed.remove(&channel);
            match (
                state.by_channel.get_mut(&channel),
                subscribed.contains(&channel),
            ) {
                (Some(_), false) => to_add.push(channel),
                (None, true) => to_remove.push(channel),
                // Somebody came back before the channel was left.
                (Some(ear), true) => ear.wake(),
                (None, false) => {}
            }
        }
        Some((to_add, to_remove))
    }

    /// Channels are heard from now on.
    fn wake(&self, channels: &[Channel]) {
        let mut state = self.state.lock();
        for channel in channels {
            if let Some(ear) = state.by_channel.get_mut(channel) {
                ear.wake();
            }
        }
    }

    /// Nothing is heard any more, and everything has to be subscribed again.
    fn deafen(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        for (channel, ear) in &state.by_channel {
            ear.live.send_replace(false);
            state.changed.insert(Arc::clone(channel));
        }
    }

    fn hear(&self, message: &Msg) {
        let state = self.state.lock();
        if let Some(ear) = state.by_channel.get(message.get_channel_name()) {
            ear.rings.send_modify(|rings| *rings += 1);
            if let Some(told) = &ear.told {
                let body = Bytes::copy_from_slice(message.get_payload_bytes());
                // Nobody has to listen at this moment.
                let _ = told.send(Heard::Message(body));
            }
        }
    }
}

impl Ear {
    fn wake(&mut self) {
        if std::mem::replace(&mut self.was_live, true) {
            self.rings.send_modify(|rings| *rings += 1);
            if let Some(told) = &self.told {
                let _ = told.send(Heard::Missed);
            }
        }
        self.live.send_replace(true);
    }
}

/// Connects again and again.
async fn listen(ears: Arc<Ears>, client: Client, lanes: Arc<Lanes>) {
    let mut pause = PAUSE_FIRST;
    loop {
        let mut served = false;
        let ended = session(&ears, &client, &mut served).await;
        ears.deafen();
        // Commands would find out one by one that their connections are gone as well.
        lanes.renew();
        if served {
            pause = PAUSE_FIRST;
        }
        let cause = ended.err().map(|cause| reason(&cause));
        tracing::warn!(
            place = lanes.place(),
            cause,
            "a Redis is not heard: connecting again"
        );
        metrics::counter!("tenantry_redis_reconnects_total").increment(1);
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One connection, from its making to its end.
async fn session(ears: &Ears, client: &Client, served: &mut bool) -> RedisResult<()> {
    let connection: PubSub = timed(client.get_async_pubsub()).await?;
    let (mut sink, mut messages) = connection.split();
    let mut subscribed = HashSet::new();
    let mut ping = interval(PING_EVERY);
    loop {
        apply(ears, &mut sink, &mut subscribed).await?;
        *served = true;
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => ears.hear(&message),
                None => return Ok(()),
            },
            () = ears.changed.notified() => {}
            _ = ping.tick() => {
                timed(sink.ping::<Value>()).await?;
            }
        }
    }
}

/// Subscribes to what is wanted, and unsubscribes from the rest.
async fn apply(
    ears: &Ears,
    sink: &mut PubSubSink,
    subscribed: &mut HashSet<Channel>,
) -> RedisResult<()> {
    while let Some((to_add, to_remove)) = ears.changes(subscribed) {
        if !to_remove.is_empty() {
            let names: Vec<&str> = to_remove.iter().map(|channel| &**channel).collect();
            timed(sink.unsubscribe(&names)).await?;
            subscribed.retain(|channel| !to_remove.contains(channel));
        }
        if !to_add.is_empty() {
            let names: Vec<&str> = to_add.iter().map(|channel| &**channel).collect();
            timed(sink.subscribe(&names)).await?;
            ears.wake(&to_add);
            subscribed.extend(to_add);
        }
    }
    Ok(())
}

/// The answer, unless it takes too long.
async fn timed<T>(answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    timeout(ANSWER_WAIT_MAX, answer).await.unwrap_or_else(late)
}
