//! The form with which a browser stores one object (POST policy, Signature Version 4).
//!
//! The SDK does not make it. The policy lists every field but the file and the signature, each
//! with its one value, so the store refuses any other value and any other field.

use std::time::Duration;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use identity::Timestamp;
use serde_json::{Value, json};
use store::{ObjectKey, PresignedPost, UploadPromise};

use crate::{
    S3Settings,
    time::{amz_date, system_time, whole_second},
};

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The answer to a form that was taken, so that scripts can tell it from a page.
const CREATED: &str = "201";

/// Signs a form for `key`, as promised, from `now` on for `life`.
pub(crate) fn presign(
    settings: &S3Settings,
    url: &str,
    key: &ObjectKey,
    promise: &UploadPromise,
    (now, life): (Timestamp, Duration),
) -> PresignedPost {
    let expires_at = now.plus(life);
    let mut fields = fields(settings, key, promise, whole_second(now));
    let policy = policy(
        settings.location.bucket(),
        &fields,
        promise.size,
        expires_at,
    );
    let policy = BASE64_STANDARD.encode(policy.to_string());
    let signing_key = generate_signing_key(
        settings.credentials.secret_access_key(),
        system_time(now),
        settings.location.region(),
        "s3",
    );
    let signature = calculate_signature(signing_key, policy.as_bytes());
    fields.push(("policy".to_owned(), policy));
    fields.push(("x-amz-signature".to_owned(), signature));
    PresignedPost {
        url: url.to_owned(),
        fields,
        expires_at,
    }
}

/// The fields that the policy binds.
fn fields(
    settings: &S3Settings,
    key: &ObjectKey,
    promise: &UploadPromise,
    signed_at: Timestamp,
) -> Vec<(String, String)> {
    let date = amz_date(signed_at);
    let day = date.split('T').next().unwrap_or(&date);
    let (id, region) = (
        settings.credentials.access_key_id(),
        settings.location.region(),
    );
    let credential = format!("{id}/{day}/{region}/s3/aws4_request");
    let mut fields = vec![
        ("key", key.to_string()),
        ("Content-Type", promise.content_type.clone()),
        ("success_action_status", CREATED.to_owned()),
        ("x-amz-algorithm", ALGORITHM.to_owned()),
        ("x-amz-credential", credential),
        ("x-amz-date", date),
    ];
    if let Some(hash) = &promise.sha256 {
        fields.push(("x-amz-checksum-algorithm", "SHA256".to_owned()));
        fields.push(("x-amz-checksum-sha256", BASE64_STANDARD.encode(hash)));
    }
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn policy(bucket: &str, fields: &[(String, String)], size: u64, expires_at: Timestamp) -> Value {
    let exactly = |(name, value): &(String, String)| json!(["eq", format!("${name}"), value]);
    let mut conditions: Vec<Value> = fields.iter().map(exactly).collect();
    conditions.push(json!({"bucket": bucket}));
    conditions.push(json!(["content-length-range", size, size]));
    json!({"expiration": expires_at.to_string(), "conditions": conditions})
}
