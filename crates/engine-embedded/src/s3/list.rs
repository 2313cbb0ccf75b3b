//! Which objects there are, for who moves them: every page looks at every file, which is enough for development.

use std::{collections::BTreeMap, io, path::Path};

use s3s::{
    S3Error, S3Result,
    dto::{ListObjectsV2Input, ListObjectsV2Output, Object},
    s3_error,
};

use super::part;

/// Most objects of a page.
const PAGE_MAX: usize = 1000;

/// A page of the objects in a folder, in the order of their keys.
pub(super) async fn list(
    folder: &Path,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    if input.delimiter.is_some() || input.continuation_token.is_some() {
        let why = "a listing has a prefix and begins behind a key, and nothing else";
        return Err(s3_error!(NotImplemented, "{why}"));
    }
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let asked = input.max_keys.and_then(|most| usize::try_from(most).ok());
    let most = asked.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let found = sizes(folder, prefix, input.start_after.as_deref(), most).await;
    let mut found = found.map_err(S3Error::internal_error)?;
    let more = found.len() > most;
    if more {
        found.pop_last();
    }
    let contents = found.into_iter().map(|(key, size)| Object {
        key: Some(key),
        size: i64::try_from(size).ok(),
        ..Object::default()
    });
    let contents: Vec<Object> = contents.collect();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix,
        start_after: input.start_after,
        key_count: i32::try_from(contents.len()).ok(),
        max_keys: i32::try_from(most).ok(),
        is_truncated: Some(more),
        contents: Some(contents),
        ..ListObjectsV2Output::default()
    })
}

/// The first `most` keys behind `after` and one more, each with its object's size.
async fn sizes(
    folder: &Path,
    prefix: &str,
    after: Option<&str>,
    most: usize,
) -> io::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    let mut shelves = tokio::fs::read_dir(folder).await?;
    while let Some(shelf) = shelves.next_entry().await? {
        let mut files = tokio::fs::read_dir(shelf.path()).await?;
        while let Some(file) = files.next_entry().await? {
            // It may have been deleted meanwhile.
            let Some((_, facts)) = part::open(&file.path()).await? else {
                continue;
            };
            let behind = after.is_none_or(|after| facts.key.as_str() > after);
            if behind && facts.key.starts_with(prefix) {
                found.insert(facts.key, facts.size);
            }
            if found.len() > most.saturating_add(1) {
                found.pop_last();
            }
        }
    }
    Ok(found)
}
