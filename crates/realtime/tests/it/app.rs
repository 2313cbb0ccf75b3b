//! A real server on a loopback port, over the in-memory engines.

use std::{future::Future, net::SocketAddr, ops::Deref, sync::Arc, time::Duration};

use actix_web::{
    App as ActixApp, HttpServer,
    dev::ServerHandle,
    middleware::from_fn,
    web::{Data, ServiceConfig},
};
use identity::{
    Env, Guard, Recording, Role, Scope, SystemAuthority,
    http::{EdgeState, Routes, edge},
};
use serde_json::Value;
use store::EventLog;
use tenantry_realtime::{
    NewCanvas, NewThread, OpenStream, Realtime, RealtimeConfig, RealtimeDeps, RouteKey, Tickets,
};
use testkit::{
    Faulty, MemoryDocuments, MemoryEventLog, MemoryRecorder, MemoryThrottle, PROJECT, World,
};

use crate::{
    http::{Request, Response},
    rails::{CHAT, Rail},
    sse_client::Sse,
    ws_client::Ws,
};

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Polls `holds` until it does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("never: {what}"),
    }
}

/// Everything of an application but its socket.
pub(crate) struct Parts {
    /// The rail that its callers use.
    pub(crate) rail: Rail,
    pub(crate) world: World,
    pub(crate) realtime: Arc<Realtime>,
    pub(crate) recorder: Arc<MemoryRecorder>,
    pub(crate) log: Arc<Faulty<MemoryEventLog>>,
    guard: Arc<Guard>,
    recording: Recording,
}

impl Parts {
    pub(crate) fn with(rail: Rail, configure: impl FnOnce(&mut RealtimeConfig)) -> Self {
        let world = World::new();
        let mut config = RealtimeConfig::default();
        configure(&mut config);
        let (documents, log) = (
            Arc::new(MemoryDocuments::new(world.clock.clone())),
            Arc::new(Faulty::new(MemoryEventLog::default())),
        );
        let tickets = Arc::new(Tickets::new(
            documents.clone(),
            &SystemAuthority::assume(),
            world.clock.clone(),
            world.entropy.clone(),
        ));
        let guard = Guard::new(
            world.tokens.clone(),
            world.directory.clone(),
            world.clock.clone(),
        );
        let guard = Arc::new(guard.with_tickets(tickets.clone()));
        let (recorder, recording) = MemoryRecorder::recording();
        let realtime = Realtime::new(RealtimeDeps {
            documents,
            log: log.clone(),
            throttle: Arc::new(MemoryThrottle::new(world.clock.clone())),
            tickets,
            guard: guard.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            recording: recording.clone(),
            config,
        });
        Self {
            rail,
            world,
            realtime,
            recorder,
            log,
            guard,
            recording,
        }
    }

    /// Mounts the routes and what they need.
    pub(crate) fn mount(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        self.mount_with(Routes::new())
    }

    fn mount_with(
        &self,
        mut routes: Routes,
    ) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        tenantry_realtime::routes(&mut routes);
        let mounted = routes.build(self.recording.clone()).unwrap();
        let entropy = self.world.entropy.clone();
        let (guard, realtime) = (self.guard.clone(), self.realtime.clone());
        move |config| {
            let entropy = entropy.clone();
            config
                .app_data(Data::new(EdgeState { entropy }))
                .app_data(Data::from(guard.clone()))
                .app_data(Data::from(realtime.clone()));
            mounted.configure(config);
        }
    }

    /// The route of the rail's first object of `t_a`, for publishing without HTTP.
    pub(crate) async fn route(&self) -> (Scope, RouteKey) {
        let scope = self.world.scope("t_a", Env::Dev, "u_writer").await;
        let route = self.register(&scope, self.rail.one).await;
        (scope, route)
    }

    /// Registers an object of the rail.
    async fn register(&self, scope: &Scope, id: &str) -> RouteKey {
        if self.rail == CHAT {
            let new = NewThread {
                thread_id: Some(id.parse().unwrap()),
                title: None,
            };
            let registry = self.realtime.registry();
            registry.register(scope, new).await.unwrap();
            return registry.verify_thread_access(scope, id).await.unwrap().0;
        }
        let new = NewCanvas {
            canvas_id: Some(id.parse().unwrap()),
            title: None,
        };
        let (key, _, _) = self.realtime.canvases().register(scope, new).await.unwrap();
        key.route().clone()
    }
}

pub(crate) struct App {
    parts: Parts,
    pub(crate) address: SocketAddr,
    server: ServerHandle,
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let server = self.server.clone();
        tokio::spawn(async move { server.stop(false).await });
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut RealtimeConfig)) -> Self {
        Self::on_with(CHAT, configure).await
    }

    pub(crate) async fn on(rail: Rail) -> Self {
        Self::on_with(rail, |_| {}).await
    }

    pub(crate) async fn on_with(rail: Rail, configure: impl FnOnce(&mut RealtimeConfig)) -> Self {
        Self::with_more(rail, configure, |_, _| ()).await
    }

    /// With routes and data besides those of the crate.
    pub(crate) async fn with_more<D: Send + Sync + 'static>(
        rail: Rail,
        configure: impl FnOnce(&mut RealtimeConfig),
        more: impl FnOnce(&Parts, &mut Routes) -> D,
    ) -> Self {
        let parts = Parts::with(rail, configure);
        let mut routes = Routes::new();
        let data = Data::new(more(&parts, &mut routes));
        let mount = parts.mount_with(routes);
        let (address, server) = serve(move |config| {
            config.app_data(data.clone());
            mount(config);
        });
        Self {
            parts,
            address,
            server,
        }
    }

    /// Makes `user` a member of `tenant`.
    pub(crate) fn member(&self, tenant: &str, user: &str, role: Role) -> Caller<'_> {
        self.world.directory.set_role(tenant, user, role);
        Caller {
            app: self,
            tenant: tenant.to_owned(),
            env: "dev".to_owned(),
            token: self.world.token(user),
        }
    }

    /// A member of `t_a` with the rail's first object.
    pub(crate) async fn alice(&self) -> Caller<'_> {
        let alice = self.member("t_a", "u_alice", Role::Member);
        alice.register(self.rail.one).await;
        alice
    }

    /// Makes every cursor up to `seq` of that too old.
    pub(crate) async fn trim(&self, seq: u64) {
        let (_, route) = self.route().await;
        self.log.trim(route.stream(), seq).await.unwrap();
    }
}

fn serve(
    mount: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> (SocketAddr, ServerHandle) {
    let server = HttpServer::new(move || {
        let app = ActixApp::new().wrap(from_fn(edge));
        app.configure(mount.clone())
    })
    .workers(2)
    // A client that closes its side is gone, also when nothing is sent to it.
    .h1_allow_half_closed(false)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    (address, handle)
}

/// Someone with a token, in a tenant and environment.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    pub(crate) app: &'a App,
    pub(crate) tenant: String,
    pub(crate) env: String,
    pub(crate) token: String,
}

impl Caller<'_> {
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        [
            ("authorization", format!("Bearer {}", self.token)),
            ("x-tenant-id", self.tenant.clone()),
            ("x-env", self.env.clone()),
            ("x-project-id", PROJECT.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        let mut request = Request::new(self.app.address, method, path);
        request.headers.extend(self.headers());
        request
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request("GET", path).send().await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &str) -> Response {
        self.request("POST", path).json(body).send().await
    }

    /// Registers an object of the rail.
    pub(crate) async fn register(&self, id: &str) {
        let world = &self.app.world;
        let env = self.env.parse().unwrap();
        let admitted = world.admit::<OpenStream>(&self.tenant, env, &self.token);
        self.app.parts.register(&admitted.await.unwrap(), id).await;
    }

    /// Posts to the rail's first object and returns the cursor.
    pub(crate) async fn say(&self, data: &str) -> String {
        let body = format!("{{\"data\":{data}}}");
        let answer = self.post_json(self.app.rail.posts, &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Follows the rail's first object with SSE.
    pub(crate) async fn sse(&self, cursor: Option<&str>) -> Sse {
        let mut request = self.request("GET", &self.app.rail.sse());
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor);
        }
        Sse::open(request).await
    }

    /// Opens a WebSocket to the rail's first object and returns it with its `ready`.
    pub(crate) async fn ws(&self, cursor: Option<&str>) -> (Ws, Value) {
        let query = cursor
            .map(|id| format!("?last_id={id}"))
            .unwrap_or_default();
        let path = format!("{}{query}", self.app.rail.ws());
        let mut ws = Ws::open(&self.request("GET", &path)).await;
        let ready = ws.json().await;
        assert_eq!(ready["op"], "ready");
        (ws, ready)
    }
}

/// The number after the epoch.
pub(crate) fn seq(cursor: &str) -> u64 {
    cursor.split_once('-').unwrap().1.parse().unwrap()
}

/// The seq of the event `after` away from `cursor`.
pub(crate) fn shifted(cursor: &str, by: i64) -> String {
    let (epoch, seq) = cursor.split_once('-').unwrap();
    format!("{epoch}-{}", seq.parse::<i64>().unwrap() + by)
}
