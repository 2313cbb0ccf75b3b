//! Flags over HTTP (contract, section 6): admit, call one service, answer.
//!
//! Keys may hold slashes, so they are the tail of every path that names one.

pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod manage;
pub(crate) mod ofrep;
mod question;
mod tag;
mod view;

use actix_web::{HttpRequest, http::Method};
use identity::{Action, Code, Problem, Refusal, Role, http::Routes};
use utoipa::OpenApi;

use crate::{FlagKey, FlagsError, LAYER_FLAGS_MAX, Unevaluated};

identity::action!(ListFlags, "flags.list", Viewer);
identity::action!(ReadFlag, "flags.read", Admin);
identity::action!(PutFlag, "flags.put", Admin);
identity::action!(DeleteFlag, "flags.delete", Admin);
identity::action!(ReadSystemFlag, "flags.system.read", Admin, System);
identity::action!(PutSystemFlag, "flags.system.put", Admin, System);
identity::action!(DeleteSystemFlag, "flags.system.delete", Admin, System);

/// The action `flags.evaluate`: it asks, and changes nothing.
#[derive(Debug)]
pub(crate) enum Evaluate {}
impl Action for Evaluate {
    const NAME: &'static str = "flags.evaluate";
    const ROLE: Role = Role::Viewer;
    const READ_ONLY: bool = true;
}

/// Everything this crate serves; mount `Data<Flags>` beside it.
pub fn routes(routes: &mut Routes) {
    let (tenant, system) = ("/flags/{key:.+}", "/flags/system/{key:.+}");
    routes.tenant(Method::GET, "/flags", list::list);
    routes.tenant(Method::GET, "/flags/stale", list::stale);
    routes.tenant(Method::GET, "/flags/history/{key:.+}", history::of_tenant);
    routes.tenant(
        Method::GET,
        "/flags/history/system/{key:.+}",
        history::of_system,
    );
    routes.tenant(Method::GET, tenant, manage::read);
    routes.tenant(Method::PUT, tenant, manage::put);
    routes.tenant(Method::DELETE, tenant, manage::delete);
    routes.tenant(Method::GET, system, manage::read_system);
    routes.tenant(Method::PUT, system, manage::put_system);
    routes.tenant(Method::DELETE, system, manage::delete_system);
    routes.tenant(Method::POST, "/ofrep/v1/evaluate/flags", ofrep::all);
    routes.tenant(
        Method::POST,
        "/ofrep/v1/evaluate/flags/{key:.+}",
        ofrep::one,
    );
}

#[derive(OpenApi)]
#[openapi(paths(
    history::of_system,
    history::of_tenant,
    list::list,
    list::stale,
    manage::delete,
    manage::delete_system,
    manage::put,
    manage::put_system,
    manage::read,
    manage::read_system,
    ofrep::all,
    ofrep::one,
))]
struct Api;

/// Describes what [`routes`] mounts; a key is there one part of a path, with `%2F` for `/`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// The key in a path, as its sender meant it; the framework leaves some characters encoded.
fn key_text(req: &HttpRequest) -> String {
    let text = req.match_info().get("key").unwrap_or_default();
    if !text.contains('%') {
        return text.to_owned();
    }
    // `%` last: what it leaves is not decoded again.
    [
        ("%2F", "/"),
        ("%2f", "/"),
        ("%2B", "+"),
        ("%2b", "+"),
        ("%25", "%"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, sign)| {
        text.replace(code, sign)
    })
}

/// The key in a path, where only a valid one makes sense.
fn key_in(req: &HttpRequest) -> Result<FlagKey, Problem> {
    let key = key_text(req).parse();
    key.map_err(|error: crate::InvalidKey| Problem::invalid("/key", error.to_string()))
}

impl From<FlagsError> for Problem {
    fn from(error: FlagsError) -> Self {
        match error {
            FlagsError::RoleForbidden => Refusal::RoleForbidden.into(),
            FlagsError::NotFound => Self::not_found(),
            FlagsError::Stale => Self::new(
                Code::PreconditionFailed,
                "The flag is not in the state that If-Match names.",
            ),
            FlagsError::Locked => Self::new(
                Code::FlagLocked,
                "The flag is set for everyone and locked. An override that exists can be deleted.",
            ),
            FlagsError::Invalid(invalid) => Self::invalid(&invalid.pointer, invalid.why),
            FlagsError::TooLarge => Self::new(
                Code::BodyTooLarge,
                "A flag may have at most 32 KiB of JSON.",
            ),
            FlagsError::Full => Self::invalid(
                "",
                format!("at most {LAYER_FLAGS_MAX} flags of 4 MiB in all are stored here"),
            ),
            FlagsError::Unevaluated(why) => unevaluated(why),
            FlagsError::Unavailable(_) => Self::unavailable(&error),
            FlagsError::Internal(cause) => {
                tracing::error!(%cause, "a flag cannot be handled");
                Self::new(
                    Code::Internal,
                    "The fault is ours; it was recorded under the request id.",
                )
            }
        }
    }
}

fn unevaluated(why: Unevaluated) -> Problem {
    match why {
        Unevaluated::NotFound => Problem::not_found(),
        Unevaluated::TargetingKeyMissing => Problem::new(Code::BodyInvalid, why.to_string()),
        Unevaluated::Damaged(_) | Unevaluated::TooManyPrerequisites => {
            Problem::new(Code::Internal, format!("There is no value: {why}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        let decoded = |key: &'static str| {
            let request = TestRequest::default().param("key", key);
            key_text(&request.to_http_request())
        };
        assert_eq!(decoded("a/b"), "a/b");
        assert_eq!(decoded("a%2Fb%2fc"), "a/b/c");
        assert_eq!(decoded("a%252Fb"), "a%2Fb");
    }
}
