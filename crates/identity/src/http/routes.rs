//! The one place where handlers become routes, and the list of all of them.

use std::{collections::BTreeMap, fmt, pin::pin, sync::Arc, task::Poll, time::Duration};

use actix_web::{
    Handler, HttpRequest, HttpResponse, Resource, Responder,
    dev::Payload,
    http::{Method, header},
    web::{self, ServiceConfig},
};

use super::{Admitted, Args, Body, Object, Public, PublicReason, SignedIn};
use crate::{Action, Problem, Realm, Role};

/// An answer that has not begun after this long is given up; a stream begins at once.
const ANSWER_MAX: Duration = Duration::from_secs(30);

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
    Account,
    /// Anyone.
    Public {
        /// Why.
        reason: &'static str,
    },
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
            Access::Account => write!(f, "account"),
            Access::Public { reason } => write!(f, "public: {reason}"),
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
type Mount = Arc<dyn Fn(Resource) -> Resource + Send + Sync>;

/// Collects routes; the only way to mount a handler.
#[derive(Default)]
pub struct Routes {
    entries: Vec<(ManifestEntry, Mount)>,
}

/// Gates that select a tenant.
pub trait TenantGate: super::Gate {}
impl<A: Action, B: Body, O: Object> TenantGate for Admitted<A, B, O> {}
/// Gates that know the caller alone.
pub trait AccountGate: super::Gate {}
impl<B: Body> AccountGate for SignedIn<B> {}
/// Gates that know nobody.
pub trait PublicGate: super::Gate {}
impl<R: PublicReason, B: Body> PublicGate for Public<R, B> {}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts a route of a tenant; the handler's first argument is [`Admitted`].
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
        use super::Gate;
        let entry = ManifestEntry {
            method: method.clone(),
            path,
            access: A::Gate::access(),
        };
        let mount = move |resource: Resource| mount(resource, method.clone(), handler.clone());
        self.entries.push((entry, Arc::new(mount)));
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// [`DuplicateRoute`] when two handlers would answer the same request.
    pub fn build(self) -> Result<Mounted, DuplicateRoute> {
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
        })
    }
}

/// The finished routes; clone it into every worker.
#[derive(Clone)]
pub struct Mounted {
    by_path: Arc<BTreeMap<&'static str, Methods>>,
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
        for (path, methods) in self.by_path.iter() {
            let allow: Vec<&str> = methods.keys().map(String::as_str).collect();
            let allow = allow.join(", ");
            let refuse = move || {
                std::future::ready(
                    HttpResponse::MethodNotAllowed()
                        .insert_header((header::ALLOW, allow.clone()))
                        .finish(),
                )
            };
            let resource = web::resource(*path).default_service(web::to(refuse));
            config.service(
                methods
                    .values()
                    .fold(resource, |resource, (_, mount)| mount(resource)),
            );
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where routes are mounted"
)]
fn mount<F, A>(resource: Resource, method: Method, handler: F) -> Resource
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let route = web::method(method).to(move |req: HttpRequest, body: web::Payload| {
        let handler = handler.clone();
        async move { serve(handler, req, body.into_inner()).await }
    });
    resource.route(route)
}

async fn serve<F, A>(handler: F, req: HttpRequest, mut payload: Payload) -> HttpResponse
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let answer = async {
        let args = A::take(&req, &mut payload).await?;
        Ok(handler.call(args).await)
    };
    let mut answer = pin!(answer);
    // Most answers are ready at once; only one that waits needs a timer.
    let outcome = match futures_util::poll!(&mut answer) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => tokio::time::timeout(ANSWER_MAX, answer).await,
    };
    match outcome {
        Ok(Ok(answer)) => answer.respond_to(&req).map_into_boxed_body(),
        Ok(Err(problem)) => refuse(problem),
        Err(_) => refuse(Problem::unavailable(&"the answer took too long")),
    }
}

fn refuse(problem: Problem) -> HttpResponse {
    actix_web::Error::from(problem).into()
}
