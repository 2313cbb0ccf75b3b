//! A service over a store that outlives it.

use std::sync::Arc;

use identity::{Env, Guard, Recording, Scope};
use realtime::{CanvasKey, NewCanvas, Realtime, RealtimeConfig, RealtimeDeps, Tickets};
use serde_json::{Value, value::RawValue};
use store::{Documents, EventLog, Throttle};
use tenantry_canvas::{
    Applied, CanvasConfig, CanvasDeps, CanvasError, CanvasService, CommandBatch, Elsewhere,
    Identity, Mode, Sent,
};
use testkit::{Faulty, MemoryDocuments, MemoryEventLog, MemoryThrottle, World};

/// What is there before and after a restart.
pub(crate) struct Ground {
    pub(crate) world: World,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) throttle: Arc<dyn Throttle>,
    pub(crate) config: CanvasConfig,
    pub(crate) realtime: RealtimeConfig,
}

impl Ground {
    pub(crate) fn over(
        documents: Arc<dyn Documents>,
        log: Arc<dyn EventLog>,
        world: World,
    ) -> Self {
        let throttle = Arc::new(MemoryThrottle::new(world.clock.clone()));
        Self {
            documents,
            log,
            throttle,
            world,
            config: CanvasConfig::default(),
            realtime: RealtimeConfig::default(),
        }
    }

    pub(crate) fn memory() -> Self {
        let world = World::new();
        let documents = Arc::new(MemoryDocuments::new(world.clock.clone()));
        Self::over(documents, Arc::new(MemoryEventLog::default()), world)
    }

    /// A node over the ground, as one that just started.
    pub(crate) fn start(&self) -> CanvasService {
        let world = &self.world;
        let authority = identity::SystemAuthority::assume();
        let tickets = Tickets::new(
            self.documents.clone(),
            &authority,
            world.clock.clone(),
            world.entropy.clone(),
        );
        let guard = Guard::new(
            world.tokens.clone(),
            world.directory.clone(),
            world.clock.clone(),
        );
        let realtime = Realtime::new(RealtimeDeps {
            documents: self.documents.clone(),
            log: self.log.clone(),
            throttle: self.throttle.clone(),
            tickets: Arc::new(tickets),
            guard: Arc::new(guard),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            recording: Recording::Nothing { reason: "a test" },
            config: self.realtime.clone(),
        });
        CanvasService::new(CanvasDeps {
            documents: self.documents.clone(),
            log: self.log.clone(),
            realtime,
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            config: self.config.clone(),
        })
    }

    pub(crate) async fn scope(&self, user: &str) -> Scope {
        self.world.scope("t_a", Env::Dev, user).await
    }
}

/// One canvas, one user, engines that can be made to fail.
pub(crate) struct House {
    pub(crate) ground: Ground,
    pub(crate) documents: Arc<Faulty<MemoryDocuments>>,
    pub(crate) log: Arc<Faulty<MemoryEventLog>>,
    pub(crate) service: CanvasService,
    pub(crate) scope: Scope,
    pub(crate) key: CanvasKey,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(CanvasConfig::default()).await
    }

    pub(crate) async fn with(config: CanvasConfig) -> Self {
        let world = World::new();
        let documents = Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
        let log = Arc::new(Faulty::new(MemoryEventLog::default()));
        let mut ground = Ground::over(documents.clone(), log.clone(), world);
        ground.config = config;
        let service = ground.start();
        let scope = ground.scope("u_1").await;
        let key = canvas(&service, &scope, "cv_1").await;
        Self {
            ground,
            documents,
            log,
            service,
            scope,
            key,
        }
    }

    pub(crate) async fn send(&self, batch: &CommandBatch) -> Result<Applied, CanvasError> {
        self.service.submit(&self.scope, &self.key, batch).await
    }

    /// Sends one command, made for the head.
    pub(crate) async fn one(&self, id: &str, kind: &str, args: Value) -> Applied {
        let head = self.service.view(&self.key).await.unwrap().rev;
        let batch = batch(id, head, Mode::Strict, &[(kind, args)]);
        self.send(&batch).await.unwrap()
    }
}

pub(crate) async fn canvas(service: &CanvasService, scope: &Scope, id: &str) -> CanvasKey {
    let new = NewCanvas {
        canvas_id: Some(id.parse().unwrap()),
        title: None,
    };
    let (key, _, _) = service.registry().register(scope, new).await.unwrap();
    key
}

pub(crate) fn identity(batch: &str) -> Identity {
    Identity {
        client_id: "c1".parse().unwrap(),
        batch_id: batch.parse().unwrap(),
    }
}

pub(crate) fn sent(at: usize, kind: &str, args: &Value) -> Sent {
    Sent {
        cmd_id: format!("k{at}").parse().unwrap(),
        kind: kind.to_owned(),
        args: RawValue::from_string(args.to_string()).unwrap(),
    }
}

pub(crate) fn try_batch(
    id: &str,
    base: u64,
    mode: Mode,
    commands: &[(&str, Value)],
) -> Result<CommandBatch, CanvasError> {
    let commands = commands.iter().enumerate();
    let sent = commands.map(|(at, (kind, args))| sent(at, kind, args));
    CommandBatch::new(identity(id), base, None, mode, sent.collect())
}

pub(crate) fn batch(id: &str, base: u64, mode: Mode, commands: &[(&str, Value)]) -> CommandBatch {
    try_batch(id, base, mode, commands).unwrap()
}

pub(crate) fn elsewhere(answer: Result<Applied, CanvasError>) -> Elsewhere {
    match answer {
        Err(CanvasError::Elsewhere(elsewhere)) => *elsewhere,
        other => panic!("the client is where the canvas is: {other:?}"),
    }
}
