//! Presigned forms per second, of one processor.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use engine_s3::{S3Blobs, S3Credentials, S3Location, S3Settings};
use identity::AssetId;
use store::{Blobs, ObjectKey, UploadPromise};

use super::SUBJECT;
use crate::{
    ambient::SystemClock,
    scope::of_one_tenant,
    stats::median,
    table::{Row, per_second},
};

const ROUNDS: usize = 20;
const FORMS: usize = 2_000;
const LIFE: Duration = Duration::from_secs(900);

/// Measures; nobody is asked for a form, so no store runs.
pub(super) async fn measure() -> Result<Row> {
    let location = S3Location::new("bench-bucket", "eu-central-1", None, false)?;
    let credentials = S3Credentials::new("AKIABENCH", "a-secret-of-the-bench".to_owned().into())?;
    let settings = S3Settings {
        location,
        credentials,
    };
    let blobs = S3Blobs::new(settings, Arc::new(SystemClock)).await?;
    let scope = of_one_tenant().await?;
    let asset: AssetId = "as_bench".parse()?;
    let key = ObjectKey::in_scope(&scope, "raw", &asset, "report.pdf")?;
    let promise = UploadPromise {
        content_type: "application/pdf".to_owned(),
        size: 1 << 20,
        sha256: Some([7; 32]),
    };
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..FORMS {
            blobs.presign_post(&key, &promise, LIFE).await?;
        }
        rates.push(FORMS as f64 / started.elapsed().as_secs_f64());
    }
    let rate = per_second(median(rates));
    Ok(Row::new(
        SUBJECT,
        "presigned forms",
        rate,
        "one task".to_owned(),
    ))
}
