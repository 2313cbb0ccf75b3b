//! For every tenant route, a request of its owner that succeeds.
//!
//! A new route needs a recipe here; without one the attack test fails by name.

use std::time::Duration;

use futures_util::future::join_all;
use identity::{
    Clock, Entropy, Grant, KeyRing, KeyState, OwnIssuer, RingKey, Timestamp, Tokens,
    http::ManifestEntry,
};
use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes_assets::assets_recipe,
    recipes_canvas::{self, canvas_recipe},
    recipes_gated::gates_recipe,
    recipes_nexus::nexus_recipe,
};

/// Part of everything that the victim stores; no refused caller may see it.
pub(crate) const CANARY: &str = "canary-7f3e";
const THREAD: &str = "th_victim";
const PASSWORD: &str = "correct horse battery";

/// What a tenant's lists are.
const OWN_LISTS: [&str; 29] = [
    "/control/members",
    "/control/projects",
    "/control/surfaces",
    "/control/apps",
    "/chat/threads",
    "/chat/threads/th_victim/messages",
    "/canvas",
    "/canvas/cv_victim",
    "/flags",
    "/nexus/cards",
    "/nexus/atoms",
    "/nexus/packs",
    "/nexus/settings",
    "/nexus/runs",
    "/nexus/memory",
    "/nexus/maybes",
    "/nexus/analytics-events",
    "/nexus/page-content",
    "/nexus/seo",
    "/nexus/raw-storage",
    "/media",
    "/artifacts",
    "/gates/kill-switches",
    "/gates/firearms",
    "/gates/strategy-locks",
    "/gates/budgets",
    "/gates/kpis",
    "/gates/approvals",
    "/privacy/train-prefs",
];
/// What only operators see.
const SYSTEM_LISTS: [&str; 3] = ["/control/tenants", "/control/modes", "/control/routes"];

/// A tenant with data, people around it, and an attacker with a tenant of their own.
pub(crate) struct Victim {
    pub(crate) owner: Caller,
    /// Another admin of the owner's tenant.
    pub(crate) second: Caller,
    operator: Caller,
    pub(crate) attacker: Caller,
    pub(crate) attacker_token: String,
    pub(crate) attacker_project: String,
    pub(crate) viewer_token: String,
    viewer_id: String,
    former_id: String,
    pub(crate) former_token: String,
    pub(crate) expired_token: String,
    pub(crate) bound_elsewhere_token: String,
    pub(crate) bootstrap_key: String,
}

/// What a recipe makes: who asks, what, and which answers mean success.
pub(crate) struct Recipe {
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) success: &'static [u16],
}

pub(crate) fn is_about_an_object(path: &str) -> bool {
    path.contains('{')
}

pub(crate) async fn succeed(server: &Server, caller: &Caller, request: Request) -> Value {
    let reply = send(server, caller, &request).await;
    assert!(
        (200..300).contains(&reply.status),
        "{request:?}: {}",
        reply.visible()
    );
    if reply.text.is_empty() {
        Value::Null
    } else {
        reply.json()
    }
}

async fn sign_up(server: &Server, name: &str) -> Value {
    let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD, "tenant_name": format!("{name} Ltd")});
    succeed(
        server,
        &Caller::default(),
        Request::new("POST", "/auth/signup").json(&body),
    )
    .await
}

fn caller_of(signed_up: &Value) -> Caller {
    let text = |pointer: &str| {
        signed_up
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} in {signed_up}"))
    };
    Caller::new(
        text("/access_token"),
        text("/tenant/id"),
        text("/project/id"),
    )
}

/// Tokens that only the holder of the signing key can make, read from the data folder.
struct Forge {
    tokens: Tokens,
}

struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
    }
}
struct Sevens;
impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Forge {
    fn new(server: &Server) -> Self {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let text = std::fs::read_to_string(server.data().join("secrets/signing.key")).unwrap();
        let secret = URL_SAFE_NO_PAD.decode(text.trim()).unwrap();
        let key = RingKey {
            kid: "k1".to_owned(),
            secret: secret.into(),
            state: KeyState::Active,
        };
        let own = OwnIssuer::new(
            tenantry_server::dev::ISSUER,
            "tenantry",
            KeyRing::new(vec![key]).unwrap(),
        );
        Self {
            tokens: Tokens::new(own, Vec::new()).unwrap(),
        }
    }

    /// The same user and session as `token`, minted at another moment or for one tenant.
    async fn remint(
        &self,
        token: &str,
        age: Duration,
        life: Duration,
        tenant: Option<&str>,
    ) -> String {
        let now = Now.now();
        let known = self
            .tokens
            .verify(token, now)
            .await
            .expect("the server's own token verifies");
        let grant = Grant {
            user: known.user.clone(),
            session: known.session.clone().unwrap(),
            tenant: tenant.map(|id| id.parse().unwrap()),
            life,
        };
        let then = Timestamp::from_unix_ms(now.unix_ms() - i64::try_from(age.as_millis()).unwrap());
        self.tokens.mint(&grant, then, &Sevens).unwrap()
    }
}

impl Victim {
    /// Makes the whole scene through the ordinary routes.
    pub(crate) async fn settle(server: &Server) -> Self {
        let owner = sign_up(server, "victim").await;
        let attacker = sign_up(server, "attacker").await;
        let (viewer, former, second) = (
            sign_up(server, "viewer").await,
            sign_up(server, "former").await,
            sign_up(server, "second").await,
        );
        let asks = caller_of(&owner);
        for (person, role) in [
            ("viewer", "viewer"),
            ("former", "admin"),
            ("second", "admin"),
        ] {
            let body = json!({"email": format!("{person}@example.org"), "role": role});
            succeed(
                server,
                &asks,
                Request::new("POST", "/control/members").json(&body),
            )
            .await;
        }
        let id = former["user"]["id"].as_str().unwrap();
        succeed(
            server,
            &asks,
            Request::new("DELETE", format!("/control/members/{id}")),
        )
        .await;
        let thread = json!({"thread_id": THREAD, "title": CANARY});
        succeed(
            server,
            &asks,
            Request::new("POST", "/chat/threads").json(&thread),
        )
        .await;
        let message = json!({"data": {"text": CANARY}});
        succeed(
            server,
            &asks,
            Request::new("POST", format!("/chat/threads/{THREAD}/messages")).json(&message),
        )
        .await;

        recipes_canvas::settle(server, &asks).await;

        let token = |of: &Value| of["access_token"].as_str().unwrap().to_owned();
        let forge = Forge::new(server);
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let elsewhere = attacker["tenant"]["id"].as_str().unwrap();
        Self {
            second: asks.clone().bearer(&token(&second)),
            operator: bootstrap(server).await,
            expired_token: forge.remint(&token(&owner), day, hour, None).await,
            bound_elsewhere_token: forge
                .remint(&token(&owner), Duration::ZERO, hour, Some(elsewhere))
                .await,
            attacker: caller_of(&attacker),
            attacker_token: token(&attacker),
            attacker_project: attacker["project"]["id"].as_str().unwrap().to_owned(),
            viewer_token: token(&viewer),
            viewer_id: viewer["user"]["id"].as_str().unwrap().to_owned(),
            former_id: id.to_owned(),
            former_token: token(&former),
            bootstrap_key: server.facts.bootstrap_key.clone(),
            owner: asks,
        }
    }

    /// Everything of the victim that a list shows.
    pub(crate) async fn state(&self, server: &Server) -> Vec<Value> {
        let own = format!("/privacy/train-prefs/users/{}", self.viewer_id);
        let paths = OWN_LISTS.iter().copied().chain([own.as_str()]);
        let looks = paths.map(|path| (&self.owner, path));
        let looks = looks.chain(SYSTEM_LISTS.map(|path| (&self.operator, path)));
        let looks = looks.map(|(caller, path)| succeed(server, caller, Request::new("GET", path)));
        join_all(looks).await
    }

    /// `path` of `pattern`, with another object in the place of its own.
    pub(crate) fn replace_object(&self, pattern: &str, path: &str, object: &str) -> String {
        let at = pattern
            .split('/')
            .position(|part| part.starts_with('{'))
            .unwrap();
        let mut parts: Vec<&str> = path.split('/').collect();
        parts[at] = object;
        parts.join("/")
    }
}

pub(crate) async fn bootstrap(server: &Server) -> Caller {
    let key = Caller::default().and("x-bootstrap-key", server.facts.bootstrap_key.clone());
    let body = json!({"email": "operator@example.org", "password": PASSWORD});
    let made = succeed(
        server,
        &key,
        Request::new("POST", "/auth/bootstrap/tenants").json(&body),
    )
    .await;
    let signed_in = succeed(
        server,
        &Caller::default(),
        Request::new("POST", "/auth/login").json(&body),
    )
    .await;
    let project = made["tenants"][0]["default_project_id"].as_str().unwrap();
    Caller::new(
        signed_in["access_token"].as_str().unwrap(),
        "t_system",
        project,
    )
}

/// Makes a record with `body` at `path` and returns its id.
pub(crate) async fn made(server: &Server, caller: &Caller, path: &str, body: &Value) -> String {
    let record = succeed(server, caller, Request::new("POST", path).json(body)).await;
    let id = ["id", "user_id", "tenant_id"]
        .iter()
        .find_map(|name| record[name].as_str());
    id.unwrap_or_else(|| panic!("an id in {record}")).to_owned()
}

/// A name that no earlier recipe took.
pub(crate) fn fresh(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The recipe of a route; objects that it needs are made anew.
pub(crate) async fn recipe(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let area = entry.path.split('/').nth(2).unwrap_or_default();
    let realtime = entry.path.starts_with("/chat")
        || entry.path.starts_with("/sse")
        || entry.path.starts_with("/ws")
        || entry.path.starts_with("/realtime");
    if realtime {
        return realtime_recipe(victim, entry);
    }
    if entry.path.starts_with("/flags") || entry.path.starts_with("/ofrep") {
        return flags_recipe(server, victim, entry).await;
    }
    if entry.path.starts_with("/gates/") {
        return gates_recipe(server, victim, entry).await;
    }
    if entry.path.starts_with("/canvas") {
        return canvas_recipe(server, victim, entry).await;
    }
    let files = ["/nexus/raw-storage", "/media", "/artifacts"];
    if files.iter().any(|files| entry.path.starts_with(files)) {
        return assets_recipe(server, victim, entry).await;
    }
    if entry.path.starts_with("/nexus/") {
        return nexus_recipe(server, victim, entry).await;
    }
    match area {
        "members" => member_recipe(server, victim, entry).await,
        "projects" | "surfaces" | "apps" => named_recipe(server, victim, entry, area).await,
        "tenants" | "modes" | "routes" => operator_recipe(server, victim, entry, area).await,
        "train-prefs" => train_prefs_recipe(victim, entry),
        _ if entry.path.starts_with("/audit/") => audit_recipe(server, victim, entry).await,
        _ => panic!("no recipe for {entry}: add one, so that the route is attacked"),
    }
}

fn realtime_recipe(victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let method = entry.method.as_str();
    let path = entry.path.replace("{thread_id}", THREAD);
    let path = path.replace("{canvas_id}", "cv_victim");
    let request = Request::new(method, path);
    let message = json!({"data": {"text": format!("{CANARY} again")}});
    let (request, success): (_, &[u16]) = match (method, entry.path) {
        ("GET", path) if path.starts_with("/ws/") => (request, &[101]),
        ("GET", _) => (request, &[200]),
        ("POST", "/chat/threads") => (
            request.json(&json!({"thread_id": format!("th_{}", fresh("made")), "title": CANARY})),
            &[201],
        ),
        ("POST", "/realtime/tickets") => {
            (request.json(&json!({"rail": "chat", "id": THREAD})), &[201])
        }
        ("POST", _) => (request.json(&message), &[201]),
        ("PUT", "/chat/threads/{thread_id}/snippets") => {
            (request.json(&json!({"keep": false})), &[200])
        }
        _ => panic!("no recipe for {entry}: add one, so that the route is attacked"),
    };
    Recipe {
        caller: victim.owner.clone(),
        request,
        success,
    }
}

async fn audit_recipe(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let caller = victim.owner.clone();
    let mut path = entry.path.to_owned();
    if path.contains("{seq}") {
        path = path.replace("{seq}", &proven_seq(server, &caller).await);
    }
    let request = Request::new(entry.method.as_str(), path);
    let (request, success): (_, &[u16]) = match (entry.method.as_str(), entry.path) {
        ("POST", "/audit/erasures") => {
            let lift = Request::new("DELETE", "/audit/hold");
            succeed(server, &caller, lift).await;
            (request.json(&json!({"user_id": victim.former_id})), &[201])
        }
        ("POST", "/audit/export" | "/audit/training-export") => (request.json(&json!({})), &[200]),
        ("DELETE", _) => (request, &[204]),
        _ => (request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}

/// A record that a checkpoint covers, later in its log than any of the attacker's.
async fn proven_seq(server: &Server, caller: &Caller) -> String {
    let mut seq = 0;
    for _ in 0..50 {
        let hold = Request::new("DELETE", "/audit/hold");
        let reply = send(server, caller, &hold).await;
        assert_eq!(reply.status, 204, "{}", reply.visible());
        seq = reply.header("x-audit-seq").unwrap().parse::<u64>().unwrap();
    }
    let receipt = Request::new("GET", format!("/audit/events/{seq}/receipt"));
    succeed(server, caller, receipt).await;
    seq.to_string()
}

fn train_prefs_recipe(victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let of_system = entry.path.ends_with("/system");
    let caller = if of_system {
        &victim.operator
    } else {
        &victim.owner
    };
    let path = entry.path.replace("{user_id}", &victim.viewer_id);
    let request = Request::new(entry.method.as_str(), path);
    let (request, success): (_, &[u16]) = match entry.method.as_str() {
        "PUT" => (request.json(&json!({"training": "allow"})), &[200]),
        "DELETE" => (request, &[204]),
        _ => (request, &[200]),
    };
    Recipe {
        caller: caller.clone(),
        request,
        success,
    }
}

async fn flags_recipe(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let of_system = entry.path.contains("/system/");
    let (caller, layer) = if of_system {
        (&victim.operator, "/flags/system")
    } else {
        (&victim.owner, "/flags")
    };
    let (key, flag) = (fresh("flag/of"), json!({"description": CANARY}));
    let path = entry.path.replace("{key:.+}", &key);
    let request = Request::new(entry.method.as_str(), path);
    let context = json!({"context": {"targetingKey": "u_1"}});
    let (request, success): (_, &[u16]) = match entry.method.as_str() {
        "PUT" => (request.json(&flag), &[201]),
        "DELETE" => (request, &[204]),
        "POST" => (request.json(&context), &[200]),
        _ => (request, &[200]),
    };
    if entry.method != "PUT" && is_about_an_object(entry.path) {
        let put = Request::new("PUT", format!("{layer}/{key}")).json(&flag);
        succeed(server, caller, put).await;
    }
    Recipe {
        caller: caller.clone(),
        request,
        success,
    }
}

async fn member_recipe(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let caller = victim.owner.clone();
    let method = entry.method.as_str();
    let invitation = json!({"email": format!("{}@example.org", fresh(CANARY)), "role": "member"});
    let (request, success): (_, &[u16]) = if is_about_an_object(entry.path) {
        let person = fresh("person");
        sign_up(server, &person).await;
        let body = json!({"email": format!("{person}@example.org"), "role": "member"});
        let user = made(server, &caller, "/control/members", &body).await;
        let request = Request::new(method, format!("/control/members/{user}"));
        if method == "PATCH" {
            (request.json(&json!({"role": "viewer"})), &[200])
        } else {
            (request, &[200, 204])
        }
    } else if method == "POST" {
        (
            Request::new("POST", "/control/members").json(&invitation),
            &[201],
        )
    } else {
        (Request::new("GET", "/control/members"), &[200])
    };
    Recipe {
        caller,
        request,
        success,
    }
}

async fn named_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
    area: &str,
) -> Recipe {
    let caller = victim.owner.clone();
    let method = entry.method.as_str();
    let named = json!({"name": format!("{} {CANARY}", fresh("name"))});
    let mut path = format!("/control/{area}");
    if is_about_an_object(entry.path) {
        path = format!("{path}/{}", made(server, &caller, &path, &named).await);
    }
    let request = Request::new(method, path);
    let (request, success): (_, &[u16]) = match method {
        "POST" => (request.json(&named), &[201]),
        "PATCH" | "PUT" => (request.json(&named), &[200]),
        "DELETE" => (request, &[200, 204]),
        _ => (request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}

async fn operator_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
    area: &str,
) -> Recipe {
    // Modes are read by every member, so the victim's owner asks for those.
    let reads = entry.method == "GET" && area == "modes";
    let caller = if reads {
        victim.owner.clone()
    } else {
        victim.operator.clone()
    };
    let body = match area {
        "tenants" => json!({"name": format!("{} {CANARY}", fresh("tenant"))}),
        "modes" => json!({"id": fresh("mode"), "title": "A mode", "description": CANARY}),
        _ => {
            json!({"resource_kind": fresh("kind").replace('-', "_"), "tenant": "*", "env": "*", "backend": "embedded", "config": {}})
        }
    };
    let method = entry.method.as_str();
    let mut path = format!("/control/{area}");
    if entry.path.ends_with("/check") {
        path = entry.path.to_owned();
    } else if is_about_an_object(entry.path) {
        path = format!(
            "{path}/{}",
            made(server, &victim.operator, &path, &body).await
        );
    }
    let request = Request::new(method, path);
    let (request, success): (_, &[u16]) = match (method, area) {
        ("POST", _) if entry.path.ends_with("/check") => (request, &[200]),
        ("POST", _) => (request.json(&body), &[201]),
        ("PATCH", _) => (request.json(&json!({"name": "renamed"})), &[200]),
        ("PUT", "modes") => (
            request.json(&json!({"title": "Another", "description": "changed"})),
            &[200],
        ),
        ("PUT", _) => (
            request.json(&json!({"backend": "embedded", "config": {}})),
            &[200],
        ),
        ("DELETE", _) => (request, &[200, 204]),
        _ => (request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}
