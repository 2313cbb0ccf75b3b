//! `/auth`: bootstrap, signing up, in and out.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::Payload,
    http::{Method, StatusCode, header},
    web::Data,
};
use identity::{
    Problem, Remarks, RequestContext,
    http::{Body, Json, Public, PublicReason, Routes, SignedIn, remarked},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::control_of;
use crate::{
    Bootstrapped, Control, ControlError, Membership, Name, Password, Profile, SignedUp,
    SignupRequest, TokenPair, User,
};

const BOOTSTRAP_KEY: &str = "x-bootstrap-key";

macro_rules! reason {
    ($name:ident, $action:literal, $why:literal) => {
        pub(super) enum $name {}
        impl PublicReason for $name {
            const REASON: &'static str = $why;
            const ACTION: &'static str = $action;
        }
    };
}

/// [`Unlocked`] proves the key, so that an intent is not for strangers to write.
pub(super) enum Bootstrapping {}
impl PublicReason for Bootstrapping {
    const REASON: &'static str = "the bootstrap key is its credential";
    const ACTION: &'static str = "auth.bootstrap";
    const OUTCOME_ONLY: bool = false;
}
reason!(SigningUp, "auth.signup", "the caller has no account yet");
reason!(LoggingIn, "auth.login", "the password is its credential");
reason!(
    Refreshing,
    "auth.refresh",
    "the refresh token is its credential"
);
identity::account_action!(LogOut, "auth.logout");
identity::account_action!(ReadAccount, "auth.account.read");

pub(super) fn mount(routes: &mut Routes) {
    routes.public(Method::POST, "/auth/bootstrap/tenants", bootstrap);
    routes.public(Method::POST, "/auth/signup", sign_up);
    routes.public(Method::POST, "/auth/login", log_in);
    routes.public(Method::POST, "/auth/refresh", refresh);
    routes.account(Method::POST, "/auth/logout", log_out);
    routes.account(Method::GET, "/auth/me", me);
}

/// A body that is read only if the bootstrap key is right.
struct Unlocked<T>(T);

impl<T> Body for Unlocked<T>
where
    Json<T>: Body,
    T: 'static,
{
    async fn read(
        req: &HttpRequest,
        payload: &mut Payload,
        context: Option<&RequestContext>,
    ) -> Result<Self, Problem> {
        let mut keys = req.headers().get_all(BOOTSTRAP_KEY);
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(ControlError::Unauthenticated.into());
        };
        let bootstrap = control_of(req)?.bootstrap();
        bootstrap.unlock(key.as_bytes()).await?;
        let Json(body) = Json::read(req, payload, context).await?;
        Ok(Self(body))
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct OperatorBody {
    email: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BootstrapView {
    /// `t_system` alone.
    tenants: Vec<SystemView>,
    user: UserView,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SystemView {
    id: String,
    name: String,
    mode: String,
    default_project_id: String,
}

impl From<Bootstrapped> for BootstrapView {
    fn from(made: Bootstrapped) -> Self {
        Self {
            tenants: vec![SystemView {
                id: made.tenant.id.to_string(),
                name: made.tenant.name.into(),
                mode: made.tenant.mode.to_string(),
                default_project_id: made.tenant.default_project.to_string(),
            }],
            user: made.operator.into(),
        }
    }
}

async fn bootstrap(
    Public { body, .. }: Public<Bootstrapping, Unlocked<OperatorBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let Unlocked(OperatorBody { email, password }) = body;
    let (email, password) = (email.parse()?, Password::new(password)?);
    let made = control.bootstrap().run(&email, &password).await?;
    let status = if made.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let remarks = Remarks::default().by(&made.operator.id);
    let remarks = remarks.with("tenant_id", &made.tenant.id);
    let response = HttpResponseBuilder::new(status).json(BootstrapView::from(made));
    Ok(remarked(response, remarks))
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    id: String,
    /// Null for users of outside issuers.
    email: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.map(|email| email.to_string()),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokensView {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: u64,
}

impl From<TokenPair> for TokensView {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "Bearer",
            expires_in: pair.expires_in.as_secs(),
        }
    }
}

/// Answers with tokens, which nobody may store on the way (RFC 6749, section 5.1).
fn tokens(status: StatusCode, view: &impl Serialize) -> HttpResponse {
    HttpResponseBuilder::new(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(view)
}

#[derive(Deserialize, ToSchema)]
pub(super) struct SignupBody {
    email: String,
    password: String,
    tenant_name: String,
}

impl TryFrom<SignupBody> for SignupRequest {
    type Error = ControlError;
    fn try_from(body: SignupBody) -> Result<Self, ControlError> {
        Ok(Self {
            email: body.email.parse()?,
            password: Password::new(body.password)?,
            tenant_name: Name::parse("/tenant_name", &body.tenant_name)?,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SignupView {
    user: UserView,
    tenant: NewTenantView,
    project: NewProjectView,
    #[serde(flatten)]
    tokens: TokensView,
}

#[derive(Serialize, ToSchema)]
pub(super) struct NewTenantView {
    id: String,
    name: String,
    mode: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct NewProjectView {
    id: String,
    name: String,
}

impl From<SignedUp> for SignupView {
    fn from(made: SignedUp) -> Self {
        Self {
            user: made.user.into(),
            tenant: NewTenantView {
                id: made.tenant.id.to_string(),
                name: made.tenant.name.into(),
                mode: made.tenant.mode.to_string(),
            },
            project: NewProjectView {
                id: made.tenant.default_project.to_string(),
                name: made.project_name.into(),
            },
            tokens: made.tokens.into(),
        }
    }
}

async fn sign_up(
    Public { body, .. }: Public<SigningUp, Json<SignupBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let made = control.accounts().sign_up(&body.0.try_into()?).await?;
    let remarks = Remarks::default().by(&made.user.id);
    let remarks = remarks.with("tenant_id", &made.tenant.id);
    let response = tokens(StatusCode::CREATED, &SignupView::from(made));
    Ok(remarked(response, remarks))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct LoginBody {
    email: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LoginView {
    #[serde(flatten)]
    profile: ProfileView,
    #[serde(flatten)]
    tokens: TokensView,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProfileView {
    user: UserView,
    memberships: Vec<MembershipView>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MembershipView {
    tenant_id: String,
    role: &'static str,
    default_project_id: String,
}

impl From<Membership> for MembershipView {
    fn from(membership: Membership) -> Self {
        Self {
            tenant_id: membership.tenant.to_string(),
            role: membership.role.as_str(),
            default_project_id: membership.default_project.to_string(),
        }
    }
}

impl From<Profile> for ProfileView {
    fn from(profile: Profile) -> Self {
        Self {
            user: profile.user.into(),
            memberships: profile.memberships.into_iter().map(Into::into).collect(),
        }
    }
}

async fn log_in(
    Public { body, .. }: Public<LoggingIn, Json<LoginBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let LoginBody { email, password } = body.0;
    let (profile, pair) = control.accounts().log_in(&email, password).await?;
    let remarks = Remarks::default().by(&pair.user);
    let view = LoginView {
        profile: profile.into(),
        tokens: pair.into(),
    };
    Ok(remarked(tokens(StatusCode::OK, &view), remarks))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    refresh_token: String,
}

async fn refresh(
    Public { body, .. }: Public<Refreshing, Json<RefreshBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let pair = control.sessions().refresh(&body.0.refresh_token).await?;
    let remarks = Remarks::default().by(&pair.user);
    let response = tokens(StatusCode::OK, &TokensView::from(pair));
    Ok(remarked(response, remarks))
}

async fn log_out(
    SignedIn { account, .. }: SignedIn<LogOut>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    control.sessions().log_out(&account).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn me(
    SignedIn { account, .. }: SignedIn<ReadAccount>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let profile = control.accounts().profile(&account).await?;
    Ok(HttpResponse::Ok().json(ProfileView::from(profile)))
}
