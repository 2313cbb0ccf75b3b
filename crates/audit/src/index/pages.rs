//! Where the pages of an index are.

use std::{fmt, sync::Arc};

use store::{DocKey, Document, Documents, LIST_LIMIT_MAX, Listing, Partition};

use super::{
    IndexError,
    entry::Key,
    page::{Page, Place},
    segment::Segment,
};

/// The pages of one log's index: documents whose ids begin with one prefix.
///
/// The id of a page is `{prefix}{segment}/{last key}`, in hexadecimal digits, so that the page that
/// answers for a key is the first one whose id is not before it.
#[derive(Clone)]
pub struct Pages {
    documents: Arc<dyn Documents>,
    partition: Partition,
    prefix: String,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages({}/{})", self.partition, self.prefix)
    }
}

impl Pages {
    /// The pages in `partition` whose ids begin with `prefix`, such as `prod/x/`.
    #[must_use]
    pub fn new(
        documents: Arc<dyn Documents>,
        partition: Partition,
        prefix: impl Into<String>,
    ) -> Self {
        Self {
            documents,
            partition,
            prefix: prefix.into(),
        }
    }

    pub(super) fn key(&self, place: Place) -> DocKey {
        let of_segment = self.of_segment(place.segment);
        DocKey::new(&self.partition, format!("{of_segment}{}", name(place.last)))
    }

    /// The page of `segment` that answers for `from`, and the ones after it, at most `limit` of them.
    ///
    /// They follow each other without a gap, to the end of the segment or the limit.
    ///
    /// # Errors
    /// [`IndexError::Stale`] when one is not there.
    pub(super) async fn read(
        &self,
        segment: &Segment,
        from: Key,
        limit: usize,
    ) -> Result<Vec<Page>, IndexError> {
        let prefix = self.of_segment(segment.id);
        let after = from.previous().map(|key| format!("{prefix}{}", name(key)));
        let found = self.list(prefix.clone(), after, limit).await?;
        let mut pages: Vec<Page> = Vec::with_capacity(found.len());
        for document in found {
            let last = document.id.strip_prefix(&prefix).and_then(last_key);
            let place = Place {
                segment: segment.id,
                last: last.ok_or(IndexError::Damaged)?,
            };
            let page = Page::decode(place, segment.first, &document.value)?;
            let wanted = pages.last().map_or(from, |before| before.last.next());
            let follows = pages.is_empty() || page.first == wanted;
            if !follows || !page.covers(wanted) {
                return Err(IndexError::Stale);
            }
            pages.push(page);
        }
        let whole = pages
            .last()
            .is_some_and(|page| page.last == Key::MAX || pages.len() >= limit);
        whole.then_some(pages).ok_or(IndexError::Stale)
    }

    /// The pages of the segment `id`, at most `limit` of them.
    pub(super) async fn names(&self, id: u64, limit: usize) -> Result<Vec<DocKey>, IndexError> {
        let found = self.list(self.of_segment(id), None, limit).await?;
        let keys = found.into_iter();
        Ok(keys
            .map(|page| DocKey::new(&self.partition, page.id))
            .collect())
    }

    async fn list(
        &self,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, IndexError> {
        let listing = Listing {
            prefix,
            after,
            limit: limit.min(LIST_LIMIT_MAX),
        };
        Ok(self.documents.list(&self.partition, &listing).await?)
    }

    fn of_segment(&self, id: u64) -> String {
        format!("{}{id:x}/", self.prefix)
    }
}

/// Twelve digits of the term and sixteen of the seq or time keep the order of keys.
fn name(key: Key) -> String {
    format!("{:012x}{:016x}", key.term, key.at)
}

fn last_key(name: &str) -> Option<Key> {
    let (term, at) = name.split_at_checked(12)?;
    let key = Key {
        term: u64::from_str_radix(term, 16).ok()?,
        at: u64::from_str_radix(at, 16).ok()?,
    };
    (self::name(key) == name).then_some(key)
}
