//! The one place where handlers become routes, and the list of all of them.

use std::{collections::BTreeMap, fmt, rc::Rc, sync::Arc};

use actix_web::{
    Handler, HttpRequest, HttpResponse, Resource, Responder, Route, guard,
    http::{Method, header},
    web::{self, ServiceConfig},
};
use tokio::sync::Semaphore;

use super::{
    Admitted, Args, Body, Check, Checked, Gate, Object, Public, PublicReason, SignedIn,
    serve::{MUTATIONS_MAX, Run, look, mutate},
};
use crate::{AccountAction, Action, Realm, Recording, Role};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A member of the selected tenant.
    Tenant {
        /// What the caller does.
        action: &'static str,
        /// The least role.
        role: Role,
        /// Whether only operators may.
        realm: Realm,
        /// Whether the route opens a stream and takes tickets.
        stream: bool,
    },
    /// Whoever has signed in, about themselves.
    Account {
        /// What the caller does.
        action: &'static str,
    },
    /// Anyone.
    Public {
        /// What the caller does.
        action: &'static str,
        /// Why.
        reason: &'static str,
    },
}

/// What is recorded of a route. Refused attempts always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordRule {
    /// It changes nothing: only refused attempts are recorded.
    RefusalsOnly,
    /// It opens a stream, which records when it opens and closes.
    OpenAndClose,
    /// It may change something: the intent before, the outcome after.
    IntentAndOutcome,
    /// It may change something, and one event after it is its whole record.
    OutcomeOnly,
}

impl RecordRule {
    fn of<G: Gate>(method: &Method) -> Self {
        let safe = G::READ_ONLY || [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        match (safe, G::access()) {
            (true, Access::Tenant { stream: true, .. }) => Self::OpenAndClose,
            (true, _) => Self::RefusalsOnly,
            (false, _) if G::OUTCOME_ONLY => Self::OutcomeOnly,
            (false, _) => Self::IntentAndOutcome,
        }
    }

    /// Whether the route may change something.
    #[must_use]
    pub const fn mutates(self) -> bool {
        matches!(self, Self::IntentAndOutcome | Self::OutcomeOnly)
    }
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// `GET`, `POST`, …
    pub method: Method,
    /// With `{name}` for its parts.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What is recorded of it.
    pub record: RecordRule,
    /// What is asked beside the guard, such as `gates`, before its handler runs.
    pub check: Option<&'static str>,
}

impl ManifestEntry {
    /// What its caller does, by the name under which it is recorded.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.access {
            Access::Tenant { action, .. }
            | Access::Account { action }
            | Access::Public { action, .. } => action,
        }
    }
}

impl ManifestEntry {
    /// Whether `HEAD` is answered as its `GET`, without the body (RFC 9110, section 9.3.2). A
    /// stream is not opened to be left unread.
    fn has_head(&self) -> bool {
        self.method == Method::GET && self.record == RecordRule::RefusalsOnly
    }
}

impl fmt::Display for ManifestEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.method, self.path)?;
        match self.access {
            Access::Tenant {
                action,
                role,
                realm: Realm::Tenant,
                ..
            } => write!(f, "tenant {role} {action}"),
            Access::Tenant {
                action,
                role,
                realm: Realm::System,
                ..
            } => write!(f, "operator {role} {action}"),
            Access::Account { .. } => write!(f, "account"),
            Access::Public { reason, .. } => write!(f, "public: {reason}"),
        }
    }
}

/// All routes of an application, ordered by path and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(Vec<ManifestEntry>);

impl Manifest {
    /// The routes.
    #[must_use]
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.0
    }
}

/// Two routes have one method and path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route {0} {1} is mounted twice")]
pub struct DuplicateRoute(Method, &'static str);

/// The handlers of one path, by method.
type Methods = BTreeMap<String, (ManifestEntry, Mount)>;
type Mount = Arc<dyn Fn(Resource, Run) -> Resource + Send + Sync>;

/// Collects routes; the only way to mount a handler.
#[derive(Default)]
pub struct Routes {
    entries: Vec<(ManifestEntry, Mount)>,
}

/// Gates that select a tenant.
pub trait TenantGate: super::Gate {}
impl<A: Action, B: Body, O: Object> TenantGate for Admitted<A, B, O> {}
impl<C: Check> TenantGate for Checked<C> {}
/// Gates that know the caller alone.
pub trait AccountGate: super::Gate {}
impl<A: AccountAction, B: Body> AccountGate for SignedIn<A, B> {}
/// Gates that know nobody.
pub trait PublicGate: super::Gate {}
impl<R: PublicReason, B: Body> PublicGate for Public<R, B> {}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts a route of a tenant; the handler's first argument is [`Admitted`]
    /// or [`Checked`].
    pub fn tenant<F, A>(&mut self, method: Method, path: &'static str, handler: F)
    where
        F: Handler<A> + Send + Sync,
        F::Output: Responder,
        A: Args,
        A::Gate: TenantGate,
    {
        self.add(method, path, handler);
    }

    /// Mounts a route about the caller's own account; the first argument is [`SignedIn`].
    pub fn account<F, A>(&mut self, method: Method, path: &'static str, handler: F)
    where
        F: Handler<A> + Send + Sync,
        F::Output: Responder,
        A: Args,
        A::Gate: AccountGate,
    {
        self.add(method, path, handler);
    }

    /// Mounts a public route; the first argument is [`Public`] with its reason.
    pub fn public<F, A>(&mut self, method: Method, path: &'static str, handler: F)
    where
        F: Handler<A> + Send + Sync,
        F::Output: Responder,
        A: Args,
        A::Gate: PublicGate,
    {
        self.add(method, path, handler);
    }

    fn add<F, A>(&mut self, method: Method, path: &'static str, handler: F)
    where
        F: Handler<A> + Send + Sync,
        F::Output: Responder,
        A: Args,
    {
        let entry = ManifestEntry {
            record: RecordRule::of::<A::Gate>(&method),
            access: A::Gate::access(),
            check: A::Gate::CHECK,
            method: method.clone(),
            path,
        };
        let has_head = entry.has_head();
        let mount = move |resource: Resource, run: Run| {
            let route = if has_head {
                web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
            } else {
                web::method(method.clone())
            };
            mount(resource, route, handler.clone(), Rc::new(run))
        };
        self.entries.push((entry, Arc::new(mount)));
    }

    /// Ends the collection; what is done through the routes is recorded by `recording`.
    ///
    /// # Errors
    /// [`DuplicateRoute`] when two handlers would answer the same request.
    pub fn build(self, recording: Recording) -> Result<Mounted, DuplicateRoute> {
        if let Recording::Nothing { reason } = recording {
            tracing::warn!(reason, "what is done through these routes is not recorded");
        }
        let mut by_path: BTreeMap<&'static str, Methods> = BTreeMap::new();
        for (entry, mount) in self.entries {
            let methods = by_path.entry(entry.path).or_default();
            let key = entry.method.to_string();
            if methods.contains_key(&key) {
                return Err(DuplicateRoute(entry.method, entry.path));
            }
            methods.insert(key, (entry, mount));
        }
        Ok(Mounted {
            by_path: Arc::new(by_path),
            recording,
        })
    }
}

/// The finished routes; clone it into every worker.
#[derive(Clone)]
pub struct Mounted {
    by_path: Arc<BTreeMap<&'static str, Methods>>,
    recording: Recording,
}

impl Mounted {
    /// The list of all routes.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        Manifest(
            self.by_path
                .values()
                .flat_map(|m| m.values())
                .map(|(entry, _)| entry.clone())
                .collect(),
        )
    }

    /// Adds the routes to an actix application: `App::new().configure(|c| mounted.configure(c))`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where routes are mounted"
    )]
    pub fn configure(&self, config: &mut ServiceConfig) {
        let turns = Arc::new(Semaphore::new(MUTATIONS_MAX));
        let run = |entry: &ManifestEntry| Run {
            recording: self.recording.clone(),
            action: entry.action(),
            rule: entry.record,
            turns: Arc::clone(&turns),
        };
        for (path, methods) in self.by_path.iter() {
            let mut allow: Vec<&str> = methods.keys().map(String::as_str).collect();
            if methods.values().any(|(entry, _)| entry.has_head()) {
                allow.push(Method::HEAD.as_str());
            }
            let allow = allow.join(", ");
            let refuse = move || {
                std::future::ready(
                    HttpResponse::MethodNotAllowed()
                        .insert_header((header::ALLOW, allow.clone()))
                        .finish(),
                )
            };
            let resource = web::resource(*path).default_service(web::to(refuse));
            config.service(methods.values().fold(resource, |resource, (entry, mount)| {
                mount(resource, run(entry))
            }));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where routes are mounted"
)]
fn mount<F, A>(resource: Resource, route: Route, handler: F, run: Rc<Run>) -> Resource
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    resource.route(if run.rule.mutates() {
        route.to(move |req: HttpRequest, body: web::Payload| {
            mutate(handler.clone(), req, body.into_inner(), Rc::clone(&run))
        })
    } else {
        route.to(move |req: HttpRequest, body: web::Payload| {
            look(handler.clone(), req, body.into_inner(), Rc::clone(&run))
        })
    })
}
