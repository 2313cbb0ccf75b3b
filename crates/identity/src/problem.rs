//! Refusals as RFC 9457 problems: one closed table of codes (contract, section 1).

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::RequestIds;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $text:literal, $title:literal;)*) => {
        /// Why a request was refused; the stable part of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }
            /// The `code` member.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)* } }
            /// The `title` member.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

codes! {
    /// No credential, or one that does not hold.
    Unauthenticated = 401, "unauthenticated", "Authentication is required";
    /// A context header is missing.
    ContextMissing = 400, "context_missing", "A context header is missing";
    /// A context header is malformed or given twice.
    ContextInvalid = 400, "context_invalid", "A context header is invalid";
    /// Query, path, body or ticket disagree with a context header.
    ContextConflict = 400, "context_conflict", "The request names two contexts";
    /// Unknown or suspended tenant, or not a member: they cannot be told apart.
    TenantForbidden = 403, "tenant_forbidden", "No access to this tenant";
    /// The project is not one of the tenant's.
    UnknownProject = 400, "unknown_project", "The tenant has no such project";
    /// The surface is not one of the tenant's.
    UnknownSurface = 400, "unknown_surface", "The tenant has no such surface";
    /// The app is not one of the tenant's.
    UnknownApp = 400, "unknown_app", "The tenant has no such app";
    /// The role lacks the action.
    RoleForbidden = 403, "role_forbidden", "Your role does not allow this";
    /// The thread is foreign or unknown.
    ThreadAccessDenied = 403, "thread_access_denied", "No access to this thread";
    /// The canvas is foreign or unknown.
    CanvasAccessDenied = 403, "canvas_access_denied", "No access to this canvas";
    /// Operators have locked the flag for all tenants.
    FlagLocked = 403, "flag_locked", "The flag is locked for tenants";
    /// The record is foreign or unknown, or there is no such route.
    NotFound = 404, "not_found", "Not found";
    /// The record was there, and a policy of retention has removed it.
    Gone = 410, "gone", "The record is gone";
    /// The route does not have this method.
    MethodNotAllowed = 405, "method_not_allowed", "Method not allowed";
    /// The body cannot be read.
    BodyInvalid = 400, "body_invalid", "The body cannot be read";
    /// The query cannot be read.
    QueryInvalid = 400, "query_invalid", "The query cannot be read";
    /// A header other than the context's cannot be read.
    HeaderInvalid = 400, "header_invalid", "A header is invalid";
    /// The route speaks WebSocket alone.
    UpgradeRequired = 426, "upgrade_required", "A WebSocket handshake is required";
    /// The body is too large.
    BodyTooLarge = 413, "body_too_large", "The body is too large";
    /// The request took too long to arrive.
    RequestTimeout = 408, "request_timeout", "The request took too long";
    /// The body can be read but is wrong.
    ValidationFailed = 422, "validation_failed", "The body is not valid";
    /// The idempotency key stands for another request.
    IdempotencyConflict = 422, "idempotency_conflict", "The idempotency key was used for another request";
    /// Something else has this name already.
    Conflict = 409, "conflict", "This exists already";
    /// The tenant would be left without an owner.
    LastOwner = 409, "last_owner", "A tenant always has an owner";
    /// The bootstrap was done for another operator.
    AlreadyBootstrapped = 409, "already_bootstrapped", "An operator exists already";
    /// A legal hold keeps everything as it is.
    LegalHold = 409, "legal_hold", "A legal hold forbids this";
    /// The canvas has moved on since the revision that commands were made for.
    RevMismatch = 409, "rev_mismatch", "The canvas has moved on";
    /// Commands were made for a revision that the canvas does not have yet.
    RevAhead = 409, "rev_ahead", "The canvas has no such revision yet";
    /// Commands were made for another epoch of the canvas.
    EpochMismatch = 409, "epoch_mismatch", "The canvas is in another epoch";
    /// Nothing of what was to be undone is as it was left.
    UndoConflict = 409, "undo_conflict", "Nothing is left to undo";
    /// A command of a batch cannot be carried out.
    CommandInvalid = 422, "command_invalid", "A command cannot be carried out";
    /// The store has no object where one was to be.
    ObjectMissing = 409, "object_missing", "The object is not in the store";
    /// The object in the store is not what was promised.
    ObjectMismatch = 422, "object_mismatch", "The object is not what was promised";
    /// A list has as many members as it may have.
    LimitReached = 409, "limit_reached", "There are too many already";
    /// A kill switch stops this action.
    KillSwitchEngaged = 503, "kill_switch_engaged", "A kill switch is engaged";
    /// The action needs a licence that the caller does not have.
    LicenceMissing = 403, "licence_missing", "A licence is required";
    /// The caller's licence has ended, has not begun, or is used up.
    LicenceExpired = 403, "licence_expired", "The licence is not in force";
    /// The caller's licence was taken back.
    LicenceRevoked = 403, "licence_revoked", "The licence was revoked";
    /// A strategy lock stops this action.
    StrategyLocked = 423, "strategy_locked", "The strategy is locked";
    /// A strategy lock asks for the approval of others.
    ApprovalRequired = 403, "approval_required", "An approval is required";
    /// Nobody approves what they asked for.
    SelfApproval = 403, "self_approval", "Nobody approves their own request";
    /// A key figure is below its floor.
    KpiBelowFloor = 409, "kpi_below_floor", "A key figure is below its floor";
    /// A key figure is too old to be relied on.
    KpiStale = 503, "kpi_stale", "A key figure is stale";
    /// A temperature is above its ceiling.
    TemperatureHigh = 429, "temperature_high", "The temperature is too high";
    /// A budget does not hold the cost.
    BudgetExceeded = 402, "budget_exceeded", "The budget is exceeded";
    /// A row that gates this action cannot be understood; nothing is allowed for that.
    GateStateInvalid = 503, "gate_state_invalid", "The state of a gate cannot be read";
    /// The stored version is not the expected one.
    PreconditionFailed = 412, "precondition_failed", "The record has changed";
    /// `If-Match` is needed.
    PreconditionRequired = 428, "precondition_required", "If-Match is required";
    /// A rate or a number of connections is used up.
    Throttled = 429, "throttled", "Too many requests";
    /// Something needed is unavailable; nothing is ever allowed for that.
    BackendUnavailable = 503, "backend_unavailable", "A needed backend is unavailable";
    /// The server is stopping.
    Draining = 503, "draining", "The server is stopping";
    /// A fault of ours.
    Internal = 500, "internal", "Internal error";
}

/// A refusal, complete but for the ids of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after: Option<Duration>,
    headers: Vec<(&'static str, String)>,
    members: Vec<(String, Value)>,
}

impl Problem {
    /// A problem with a `detail` for people. It must not name internals or other tenants.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
            headers: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Adds a member of its own, such as `errors`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says when to try again; sent as `Retry-After` in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// 503: something needed is unavailable. The cause is for the log alone.
    #[must_use]
    pub fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a backend is unavailable");
        Self::new(
            Code::BackendUnavailable,
            "A backend that this request needs is unavailable. Try again later.",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 404, the same for foreign and unknown records.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is no such record here.")
    }

    /// 422, with a JSON pointer to what is wrong.
    #[must_use]
    pub fn invalid(pointer: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        let place = if pointer.is_empty() {
            "the body"
        } else {
            pointer
        };
        Self::new(Code::ValidationFailed, format!("{place}: {why}"))
            .with("errors", json!([{"pointer": pointer, "detail": why}]))
    }

    /// 400, naming the parameter of the query that is wrong.
    #[must_use]
    pub fn query(parameter: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::new(Code::QueryInvalid, format!("{parameter}: {why}"))
            .with("errors", json!([{"parameter": parameter, "detail": why}]))
    }

    /// Why it was refused.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The headers that go with it.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = self.headers.clone();
        if let Some(wait) = self.retry_after {
            headers.push(("retry-after", whole_seconds(wait).to_string()));
        }
        headers
    }

    /// The RFC 9457 object.
    #[must_use]
    pub fn to_json(&self, ids: &RequestIds) -> Value {
        let mut object: Map<String, Value> = self.members.iter().cloned().collect();
        let mut set = |name: &str, value: Value| object.insert(name.to_owned(), value);
        set(
            "type",
            format!("urn:tenantry:problem:{}", self.code.as_str()).into(),
        );
        set("title", self.code.title().into());
        set("status", self.code.status().into());
        set("code", self.code.as_str().into());
        set("detail", self.detail.clone().into());
        set("request_id", ids.request_id.as_str().into());
        set("trace_id", ids.request_id.as_str().into());
        Value::Object(object)
    }
}

/// Seconds for `Retry-After`, rounded up, at least one.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis()
        .div_ceil(1000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}
