//! What a store's refusals and silences mean.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use store::StoreError;

use crate::S3Error;

/// The status of an answer, if there was one.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// What happened, without anything that the store said in its own words.
fn why<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::TimeoutError(_) => "it did not answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "it cannot be reached".to_owned(),
        SdkError::ConstructionFailure(_) => "no request could be made".to_owned(),
        SdkError::ServiceError(refusal) => {
            let code = refusal.err().code().unwrap_or("no code");
            format!("it answered {} {code}", refusal.raw().status().as_u16())
        }
        _ => "its answer could not be read".to_owned(),
    }
}

/// A failure of the store, for a caller whose request was in order.
pub(crate) fn failed<E>(bucket: &str, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let text = format!("the bucket {bucket}: {}", why(&error));
    let error = DisplayErrorContext(error);
    tracing::warn!(bucket, %error, "an object store failed");
    StoreError::Unavailable(text)
}

/// Why a bucket does not open.
pub(crate) fn unusable<E: ProvideErrorMetadata>(
    bucket: &str,
    error: &SdkError<E, HttpResponse>,
) -> S3Error {
    let (bucket, why) = (bucket.to_owned(), why(error));
    match status(error) {
        Some(404) => S3Error::BucketMissing { bucket },
        // A bucket of another region answers 301, one of another account 403.
        Some(301 | 400 | 401 | 403) => S3Error::Refused { bucket, why },
        _ => S3Error::Unreachable { bucket, why },
    }
}
