//! Bodies, read after the guard has admitted the caller.

use std::{future::Future, time::Duration};

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::{Method, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use smol_str::SmolStr;

use crate::{
    Code, ContextName, Misread, Problem, RequestContext, misfit, presented::agree, read_strictly,
};

/// Largest JSON body, in bytes.
pub const JSON_BYTES_MAX: usize = 256 * 1024;
/// A body that is not there after this long is given up.
const READ_MAX: Duration = Duration::from_secs(30);

/// Something that a body can be read as.
pub trait Body: Sized + 'static {
    /// Reads the body; `context` is what it must not contradict.
    fn read(
        req: &HttpRequest,
        payload: &mut Payload,
        context: Option<&RequestContext>,
    ) -> impl Future<Output = Result<Self, Problem>>;
}

/// The body stays unread, for routes that have none or that read it as a stream.
impl Body for () {
    async fn read(
        _: &HttpRequest,
        _: &mut Payload,
        _: Option<&RequestContext>,
    ) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON body of at most [`JSON_BYTES_MAX`]; unknown members are refused.
///
/// An empty body counts as `{}`, but not that of a `PUT` or `PATCH`: one that was lost on the way
/// would replace what is there with nothing. The names of a context (`tenant_id`, `env`, …)
/// may appear on a tenant's routes if they agree with the headers.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> Body for Json<T> {
    async fn read(
        req: &HttpRequest,
        payload: &mut Payload,
        context: Option<&RequestContext>,
    ) -> Result<Self, Problem> {
        let bytes = collect(req, payload).await?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }, context).map(Self)
    }
}

/// A [`Json`] body, and the bytes that it was read from: for who signs or hashes what was sent.
#[derive(Debug, Clone)]
pub struct JsonAsSent<T> {
    /// The body.
    pub value: T,
    /// Its bytes; `{}` when there were none.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned + 'static> Body for JsonAsSent<T> {
    async fn read(
        req: &HttpRequest,
        payload: &mut Payload,
        context: Option<&RequestContext>,
    ) -> Result<Self, Problem> {
        let mut bytes = collect(req, payload).await?;
        if bytes.is_empty() {
            bytes = Bytes::from_static(b"{}");
        }
        let value = parse(&bytes, context)?;
        Ok(Self { value, bytes })
    }
}

async fn collect(req: &HttpRequest, payload: &mut Payload) -> Result<Bytes, Problem> {
    let announced = req
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > JSON_BYTES_MAX) {
        return Err(too_large());
    }
    let body = tokio::time::timeout(READ_MAX, gather(payload)).await;
    let body =
        body.map_err(|_| Problem::new(Code::RequestTimeout, "The body took too long to arrive."))??;
    if !body.is_empty() && !is_json(req) {
        return Err(Problem::new(
            Code::BodyInvalid,
            "Send Content-Type: application/json.",
        ));
    }
    if body.is_empty() && [Method::PUT, Method::PATCH].contains(req.method()) {
        return Err(Problem::new(
            Code::BodyInvalid,
            "Send a body; {} says that there is nothing to say.",
        ));
    }
    Ok(body)
}

async fn gather(payload: &mut Payload) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(Code::BodyInvalid, "The body ended early or is malformed.")
        })?;
        if body.len() + chunk.len() > JSON_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large() -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("The body may have at most {JSON_BYTES_MAX} bytes."),
    )
}

/// Whether the body says that it is JSON; that of a `PATCH` may be a merge patch (RFC 7396).
fn is_json(req: &HttpRequest) -> bool {
    let value = req
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    is("application/json") || (req.method() == Method::PATCH && is("application/merge-patch+json"))
}

#[derive(Deserialize, Default)]
struct Mentions {
    tenant_id: Option<Value>,
    env: Option<Value>,
    project_id: Option<Value>,
    surface_id: Option<Value>,
    app_id: Option<Value>,
}

impl Mentions {
    fn named(self) -> impl Iterator<Item = (ContextName, Value)> {
        let values = [
            self.tenant_id,
            self.env,
            self.project_id,
            self.surface_id,
            self.app_id,
        ];
        ContextName::ALL
            .into_iter()
            .zip(values)
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Reads `bytes` as a `T`, without unknown members and without another context.
pub(crate) fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    context: Option<&RequestContext>,
) -> Result<T, Problem> {
    if let Some(context) = context {
        let mentions = serde_json::from_slice::<Mentions>(bytes).unwrap_or_default();
        for (name, value) in mentions.named() {
            // What is no text cannot agree.
            let text = SmolStr::new(value.as_str().unwrap_or_default());
            agree(context, &[(name, text)])?;
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = read_strictly(&mut reader, context.is_some());
    if let Err(Misread::Unfit(pointer, error)) = &read {
        return Err(misread(error, pointer));
    }
    reader.end().map_err(|error| misread(&error, ""))?;
    // A list would be taken for the members in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::invalid("", "must be an object, not a list"));
    }
    read.map_err(|misread| Problem::invalid(misread.pointer(), "unknown member"))
}

fn misread(error: &serde_json::Error, pointer: &str) -> Problem {
    if error.is_data() {
        let (pointer, why) = misfit(pointer, &error.to_string());
        return Problem::invalid(&pointer, why);
    }
    Problem::new(Code::BodyInvalid, format!("The body is not JSON: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Thing {
        name: String,
        #[serde(default)]
        parts: Vec<Part>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Part {
        size: u8,
    }

    fn code_of(text: &str) -> Code {
        parse::<Thing>(text.as_bytes(), None).unwrap_err().code()
    }

    #[test]
    fn unreadable_is_400_and_wrong_is_422() {
        for unreadable in ["{", "{\"name\":\"a\"} x", "\"\u{1}\"", "{\"name\":}", "nul"] {
            assert_eq!(code_of(unreadable), Code::BodyInvalid, "{unreadable}");
        }
        for wrong in [
            "{}",
            "[]",
            "[\"a\"]",
            " [\"a\",[]]",
            "{\"name\":1}",
            "{\"name\":\"a\",\"nme\":1}",
            "{\"name\":\"a\",\"name\":\"b\"}",
        ] {
            assert_eq!(code_of(wrong), Code::ValidationFailed, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let problem =
            parse::<Thing>(br#"{"name":"a","parts":[{"size":1},{"size":999}]}"#, None).unwrap_err();
        let ids = crate::RequestIds::from_headers(Some("r"), None, &crate::test_entropy::Ones);
        assert_eq!(
            problem.to_json(&ids).pointer("/errors/0/pointer").unwrap(),
            "/parts/1/size"
        );
        for (body, pointer) in [
            (
                r#"{"name":"a","parts":[{"size":1,"colour":2}]}"#,
                "/parts/0/colour",
            ),
            (r#"{"name":"a","parts":[{}]}"#, "/parts/0/size"),
            ("{}", "/name"),
            ("[[]]", "/0"),
        ] {
            let problem = parse::<Thing>(body.as_bytes(), None).unwrap_err();
            let said = problem.to_json(&ids);
            assert_eq!(
                said.pointer("/errors/0/pointer").unwrap(),
                pointer,
                "{body}"
            );
        }
    }

    #[actix_web::test]
    async fn a_lost_body_replaces_nothing() {
        use actix_web::test::TestRequest;
        for (request, read) in [
            (TestRequest::post(), true),
            (TestRequest::put(), false),
            (TestRequest::patch(), false),
        ] {
            let (req, mut payload) = request.to_http_parts();
            let body = Json::<Value>::read(&req, &mut payload, None).await;
            assert_eq!(body.is_ok(), read, "{}", req.method());
        }
    }

    #[test]
    fn without_a_context_its_names_are_members_like_others() {
        let problem = parse::<Thing>(br#"{"name":"a","tenant_id":"t_a"}"#, None).unwrap_err();
        assert_eq!(problem.code(), Code::ValidationFailed);
    }
}
