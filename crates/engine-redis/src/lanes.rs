//! The few connections over which all commands go.
//!
//! A connection carries the commands of many callers at once, so a pool is a set of
//! lanes and not a queue for connections. A lane that failed is given up and the
//! next caller opens another.
//!
//! **Invariant:** a lane was introduced before it carries a command: the server
//! promises what the configuration asks for, or the lane says why writes are refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{
    Connection, Manager, Pool, Runtime, Timeouts,
    redis::{
        self, AsyncConnectionConfig, Cmd, RedisResult, ScriptInvocation, Value,
        aio::MultiplexedConnection,
    },
};
use identity::Entropy;
use parking_lot::{Mutex, RwLock};
use store::StoreError;
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    Durability, Policy, RedisConfig, RedisCredentials, RedisError,
    error::Fault,
    life::{Life, Run},
    names::Names,
    opening::Opening,
};

/// Longest wait for a connection, its introduction included.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a command's answer, its connection included.
pub(crate) const COMMAND_WAIT_MAX: Duration = Duration::from_secs(4);
/// Tries of a command that may be run twice.
const TRIES_MAX: usize = 2;
/// Commands that may wait for their place on one connection.
const PENDING_COMMANDS_MAX: usize = 1024;

/// What is asked of the server.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    /// One command.
    Command(&'a Cmd),
    /// One script with its keys and arguments.
    Script(&'a ScriptInvocation<'a>),
}

/// All lanes to one Redis.
pub(crate) struct Lanes {
    pool: Pool,
    slots: Vec<RwLock<Arc<OnceCell<Lane>>>>,
    next: AtomicUsize,
    opening: Opening,
    life_key: String,
    policy: Policy,
    entropy: Arc<dyn Entropy>,
}

/// A connection that was introduced.
pub(crate) struct Lane {
    connection: MultiplexedConnection,
    /// The same connection, as the pool counts it.
    held: Mutex<Option<Connection>>,
    life: Life,
    durability: Durability,
    /// Why nothing is written over it.
    shortcoming: Option<String>,
}

impl Lane {
    /// The life of the data that this connection reaches.
    pub(crate) fn life(&self) -> Life {
        self.life
    }

    /// A handle for one caller.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Refuses writes when the server does not promise to keep them.
    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        match &self.shortcoming {
            Some(why) => Err(StoreError::ReadOnly(why.clone())),
            None => Ok(()),
        }
    }
}

/// One of the lanes, as it is now.
#[derive(Clone)]
pub(crate) struct Taken {
    at: usize,
    cell: Arc<OnceCell<Lane>>,
}

impl Lanes {
    pub(crate) fn new(
        config: &RedisConfig,
        credentials: &RedisCredentials,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, RedisError> {
        // Every command has its own end, and the pool bounds the making of connections.
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WAIT_MAX))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PENDING_COMMANDS_MAX);
        let manager = Manager::new_with_config(config.connection(credentials)?, settings)
            .map_err(|cause| RedisError::Invalid(cause.category().to_owned()))?;
        let pool = Pool::builder(manager)
            .max_size(config.connections())
            .timeouts(Timeouts {
                wait: Some(CONNECT_WAIT_MAX),
                create: Some(CONNECT_WAIT_MAX),
                recycle: Some(CONNECT_WAIT_MAX),
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|cause| RedisError::Invalid(cause.to_string()))?;
        Ok(Self {
            pool,
            slots: (0..config.connections())
                .map(|_| RwLock::default())
                .collect(),
            next: AtomicUsize::new(0),
            opening: Opening {
                place: config.place().into(),
                tls: config.tls(),
            },
            life_key: Names::new(config.prefix()).life(),
            policy: config.policy(),
            entropy,
        })
    }

    /// Where the Redis is, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.opening.place
    }

    /// What an acknowledgement has to mean.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that nobody guesses.
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.entropy.fill(bytes);
    }

    /// A number that nobody guesses.
    pub(crate) fn draw(&self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes).max(1)
    }

    /// Opens the first lane, if the server promises what it has to.
    pub(crate) async fn meet(&self) -> Result<Durability, RedisError> {
        let lane = self.open().await?;
        if let Some(why) = lane.shortcoming {
            let place = self.place().to_owned();
            return Err(RedisError::NotDurable { place, why });
        }
        let durability = lane.durability.clone();
        if let Some(slot) = self.slots.first() {
            *slot.write() = Arc::new(OnceCell::new_with(Some(lane)));
        }
        Ok(durability)
    }

    /// The next lane in turn.
    pub(crate) async fn take(&self) -> Result<Taken, StoreError> {
        self.take_at(self.next.fetch_add(1, Ordering::Relaxed))
            .await
    }

    /// The lane `at`, counted around.
    pub(crate) async fn take_at(&self, at: usize) -> Result<Taken, StoreError> {
        let at = at % self.slots.len().max(1);
        let slot = self.slots.get(at);
        let cell = slot
            .map(|slot| Arc::clone(&slot.read()))
            .unwrap_or_default();
        cell.get_or_try_init(|| self.open()).await?;
        Ok(Taken { at, cell })
    }

    /// Gives a lane up that failed; who holds it still finishes.
    pub(crate) fn give_up(&self, taken: &Taken) {
        if let Some(slot) = self.slots.get(taken.at) {
            let mut slot = slot.write();
            if Arc::ptr_eq(&slot, &taken.cell) {
                *slot = Arc::default();
            }
        }
        discard(&taken.cell);
    }

    /// Gives all lanes up, because the server may have gone.
    pub(crate) fn renew(&self) {
        for slot in &self.slots {
            let cell: Arc<OnceCell<Lane>> = std::mem::take(&mut *slot.write());
            discard(&cell);
        }
    }

    async fn open(&self) -> Result<Lane, RedisError> {
        let opened = timeout(CONNECT_WAIT_MAX, async {
            let held = self.pool.get().await;
            let held = held.map_err(|cause| self.opening.no_connection(&cause))?;
            let introduced = self.introduce(&held).await;
            introduced.map(|(durability, life)| (held, durability, life))
        });
        let late = |_| Err(self.opening.late());
        let (held, durability, life) = opened.await.unwrap_or_else(late)?;
        Ok(Lane {
            connection: held.clone(),
            held: Mutex::new(Some(held)),
            life,
            shortcoming: durability.shortcoming(self.policy),
            durability,
        })
    }

    /// Asks a new connection's server what it promises and which life its data has.
    async fn introduce(&self, held: &Connection) -> Result<(Durability, Life), RedisError> {
        let failed = |cause| self.opening.failed(&cause);
        let mut connection: MultiplexedConnection = MultiplexedConnection::clone(held);
        let question = Durability::question();
        let durability = match question.query_async(&mut connection).await {
            Ok(answer) => Durability::read(answer, self.policy),
            // Some hosted servers refuse, and then nothing is known.
            Err(refused) if !refused.is_unrecoverable_error() => {
                Durability::read(Value::Nil, self.policy)
            }
            Err(cause) => return Err(failed(cause)),
        };
        let info: RedisResult<String> = redis::cmd("INFO").query_async(&mut connection).await;
        let run = Run::read(&info.map_err(failed)?, self.place())?;
        let life = run
            .life(&mut connection, &self.life_key, &durability, self.draw())
            .await;
        Ok((durability, life.map_err(failed)?))
    }

    /// What the server promises now.
    pub(crate) async fn durability(&self) -> Result<Durability, StoreError> {
        let (answer, _) = self.ask(Question::Command(&Durability::question())).await?;
        Ok(Durability::read(answer, self.policy))
    }

    /// Asks what may be asked twice: again over another lane if the first was lost, as all are
    /// after a restart.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<(Value, Life), StoreError> {
        for _ in 1..TRIES_MAX {
            match self.attempt(question).await {
                Err(fault) if fault.connection_lost && !fault.late => {}
                answer => return answer.map_err(|fault| fault.error),
            }
        }
        self.once(question).await
    }

    /// Asks once, whatever happens.
    pub(crate) async fn once(&self, question: Question<'_>) -> Result<(Value, Life), StoreError> {
        self.attempt(question).await.map_err(|fault| fault.error)
    }

    async fn attempt(&self, question: Question<'_>) -> Result<(Value, Life), Fault> {
        let mut taken = None;
        let answer = timeout(COMMAND_WAIT_MAX, async {
            let lane = taken.insert(self.take().await?).lane()?;
            let mut connection = lane.connection();
            let value = match question {
                Question::Command(command) => command.query_async(&mut connection).await,
                Question::Script(script) => script.invoke_async(&mut connection).await,
            };
            Ok(value.map(|value| (value, lane.life())))
        });
        let fault = match answer.await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(cause))) => Fault::of(self.place(), &cause),
            Ok(Err(unopened)) => return Err(Fault::unopened(unopened)),
            Err(_) => Fault::late(self.place()),
        };
        if let (Some(taken), true) = (&taken, fault.connection_lost) {
            self.give_up(taken);
        }
        Err(fault)
    }
}

/// Takes a connection from the pool, which is not to hand it out again.
fn discard(cell: &OnceCell<Lane>) {
    let held = cell.get().and_then(|lane| lane.held.lock().take());
    drop(held.map(Connection::take));
}

impl Taken {
    /// The lane itself.
    pub(crate) fn lane(&self) -> Result<&Lane, StoreError> {
        let lane = self.cell.get();
        lane.ok_or_else(|| StoreError::Unavailable("a connection was lost".to_owned()))
    }
}
