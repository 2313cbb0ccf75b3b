//! A control plane over the in-memory engines, with a guard that asks its directory.

use std::{sync::Arc, time::Duration};

use identity::{
    Action, Credential, Env, Guard, KeyRing, KeyState, OwnIssuer, Presented, Refusal, RequestIds,
    RingKey, Role, Scope, Selector, SystemAuthority, Tokens,
};
use tenantry_control::{
    Backend, Breadth, Control, ControlConfig, ControlDeps, ControlError, Invitee, MemberRef, Need,
    Password, PasswordCost, Secrets, SignedUp, SignupRequest,
};
use testkit::{
    AUDIENCE, FakeClock, Faulty, ISSUER, MemoryDocuments, MemoryRecorder, MemoryThrottle, SECRET,
    SeededEntropy,
};

use crate::steered::{Shared, Steered};

identity::action!(Look, "test.look", Viewer);

pub const PASSWORD: &str = "correct horse battery";
pub const BOOTSTRAP_KEY: &str = "the-bootstrap-key-of-the-tests";

/// A kind that has rows for everyone.
pub fn need(kind: &str) -> Need {
    Need {
        kind: kind.parse().unwrap(),
        breadth: Breadth::Env,
        follows: None,
    }
}

pub struct World {
    pub clock: Arc<FakeClock>,
    pub entropy: Arc<SeededEntropy>,
    pub steered: Arc<Steered>,
    pub documents: Arc<Faulty<Shared>>,
    pub control: Arc<Control>,
    pub recorder: Arc<MemoryRecorder>,
    pub guard: Arc<Guard>,
}

/// Someone who calls: a token, and the context that they select.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: String,
    pub email: String,
    pub token: String,
    pub refresh: String,
    pub tenant: String,
    pub project: String,
}

impl Caller {
    /// The same person in another's tenant.
    pub fn at(&self, other: &Self) -> Self {
        Self {
            tenant: other.tenant.clone(),
            project: other.project.clone(),
            ..self.clone()
        }
    }

    pub fn member_ref(&self) -> MemberRef {
        self.user.parse().unwrap()
    }
}

impl From<SignedUp> for Caller {
    fn from(made: SignedUp) -> Self {
        Self {
            user: made.user.id.to_string(),
            email: made.user.email.unwrap().to_string(),
            token: made.tokens.access_token,
            refresh: made.tokens.refresh_token,
            tenant: made.tenant.id.to_string(),
            project: made.tenant.default_project.to_string(),
        }
    }
}

fn tokens() -> Tokens {
    let key = RingKey {
        kid: "test".to_owned(),
        secret: SECRET.to_vec().into(),
        state: KeyState::Active,
    };
    let ring = KeyRing::new(vec![key]).unwrap();
    Tokens::new(OwnIssuer::new(ISSUER, AUDIENCE, ring), Vec::new()).unwrap()
}

/// The environment of the tests.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "BOOTSTRAP_KEY" => Some(BOOTSTRAP_KEY.to_owned()),
        "CANARY" => Some("canary-value".to_owned()),
        _ => None,
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut ControlConfig)) -> Self {
        let clock = Arc::new(FakeClock::default());
        let entropy = Arc::new(SeededEntropy::new(7));
        let steered = Arc::new(Steered::new(MemoryDocuments::new(clock.clone())));
        let documents = Arc::new(Faulty::new(Shared(steered.clone())));
        let tokens = Arc::new(tokens());
        let mut config = ControlConfig {
            access_ttl: Duration::from_secs(900),
            refresh_ttl: Duration::from_secs(30 * 24 * 3600),
            bootstrap_key: "env:BOOTSTRAP_KEY".parse().unwrap(),
            password_cost: PasswordCost {
                memory_kib: 8,
                passes: 1,
            },
            needs: ["documents", "events"].map(need).into(),
            known_backends: vec![Backend::new("memory".parse().unwrap(), |kind, target| {
                let fault = target
                    .config
                    .get("fault")
                    .map(|what| format!("{kind} has {what}"));
                fault.into_iter().collect()
            })],
        };
        configure(&mut config);
        let control = Control::new(ControlDeps {
            documents: documents.clone(),
            throttle: Arc::new(MemoryThrottle::new(clock.clone())),
            tokens: tokens.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            secrets: Arc::new(Secrets::new(environment)),
            authority: SystemAuthority::assume(),
            config,
        });
        let control = Arc::new(control.unwrap());
        control.seed().await.unwrap();
        let guard = Guard::new(tokens, control.directory(), clock.clone());
        Self {
            clock,
            entropy,
            steered,
            documents,
            control,
            recorder: Arc::default(),
            guard: Arc::new(guard),
        }
    }

    pub async fn try_sign_up(&self, email: &str) -> Result<Caller, ControlError> {
        let request = SignupRequest {
            email: email.parse()?,
            password: Password::new(PASSWORD.to_owned())?,
            tenant_name: "A tenant".parse()?,
        };
        self.control
            .accounts()
            .sign_up(&request)
            .await
            .map(Into::into)
    }

    /// Signs up `name`@example.com.
    pub async fn sign_up(&self, name: &str) -> Caller {
        self.try_sign_up(&format!("{name}@example.com"))
            .await
            .unwrap()
    }

    /// Bootstraps, and logs the operator in.
    pub async fn operator(&self) -> Caller {
        let email = "root@example.com";
        let password = Password::new(PASSWORD.to_owned()).unwrap();
        let bootstrap = self.control.bootstrap();
        let made = bootstrap
            .run(&email.parse().unwrap(), &password)
            .await
            .unwrap();
        let (profile, pair) = self.log_in(email, PASSWORD).await.unwrap();
        Caller {
            user: profile.user.id.to_string(),
            email: email.to_owned(),
            token: pair.access_token,
            refresh: pair.refresh_token,
            tenant: "t_system".to_owned(),
            project: made.tenant.default_project.to_string(),
        }
    }

    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
    ) -> Result<(tenantry_control::Profile, tenantry_control::TokenPair), ControlError> {
        self.control
            .accounts()
            .log_in(email, password.to_owned())
            .await
    }

    /// What the guard says of a caller.
    pub async fn admit<A: Action>(&self, caller: &Caller) -> Result<Scope, Refusal> {
        let ids = RequestIds::from_headers(None, None, &*self.entropy);
        let presented = Presented {
            credential: Credential::Bearer(&caller.token),
            selectors: [
                Selector::One(&caller.tenant),
                Selector::One(Env::Dev.as_str()),
                Selector::One(&caller.project),
                Selector::Absent,
                Selector::Absent,
            ],
            mentions: Vec::new(),
            stream: None,
            ids: &ids,
        };
        self.guard.admit::<A>(&presented).await
    }

    pub async fn scope(&self, caller: &Caller) -> Scope {
        self.admit::<Look>(caller).await.unwrap()
    }

    /// Signs up `name` and makes them a member of `host`'s tenant; returns them there.
    pub async fn join(&self, name: &str, host: &Caller, role: Role) -> Caller {
        let guest = self.sign_up(name).await;
        let scope = self.scope(host).await;
        let invitee = Invitee::Email(guest.email.parse().unwrap());
        self.control
            .members()
            .add(&scope, &invitee, role)
            .await
            .unwrap();
        guest.at(host)
    }

    /// The role that the guard gives a caller, if any.
    pub async fn role(&self, caller: &Caller) -> Option<Role> {
        self.admit::<Look>(caller)
            .await
            .ok()
            .map(|scope| scope.auth().role())
    }
}
