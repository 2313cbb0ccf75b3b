//! Deleting assets, and calling uploads off.

use gatechain::Permit;
use identity::{AssetId, Scope};
use store::{Batch, Versioned};

use super::{
    Asset, Assets, Facts, Remove, Shelf,
    care::{DELETION_DUE, Note},
    place::{self, Home},
    uploads::swept_at,
};
use crate::NexusError;

impl Assets {
    /// Deletes an asset, or calls its upload off; its object goes with it.
    ///
    /// # Errors
    /// [`NexusError::NotFound`], [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn delete<S: Shelf>(
        &self,
        scope: &Scope,
        permit: Permit<Remove<S>>,
    ) -> Result<(), NexusError> {
        let id = permit.mutation().id.clone();
        let (batch, facts) = self.deletion::<S>(scope, &id).await?;
        let key = place::object_of(scope, &id, &facts)?;
        let now = self.deps.clock.now();
        // A form outlives what it was made for: what it still stores is deleted when it is over.
        let over = swept_at(&facts) <= now;
        let due = swept_at(&facts).max(now.plus(DELETION_DUE));
        let noted = self.note(&Note::of(scope, &id, &facts), due).await?;
        let batch = batch.expect_version(&noted.key, noted.version);
        permit.commit(batch).await?;
        self.discard(facts.area, &key, &noted, over).await;
        Ok(())
    }

    /// What deletes the documents of an asset or of an upload.
    async fn deletion<S: Shelf>(
        &self,
        scope: &Scope,
        id: &AssetId,
    ) -> Result<(Batch, Facts), NexusError> {
        let (home, documents) = (Home::of(scope), &*self.deps.documents);
        let (upload, asset) = (home.upload(id), home.asset(id));
        if let Some(found) = place::read::<Facts>(documents, &upload).await? {
            let batch = Batch::new().expect_version(&upload, found.version);
            let shown = S::shows(&found.value).then_some(found.value);
            return Ok((batch.delete(&upload), shown.ok_or(NexusError::NotFound)?));
        }
        let found = place::read::<Asset>(documents, &asset).await?;
        let found = found.filter(|found| S::shows(&found.value.facts));
        let Versioned { value, version } = found.ok_or(NexusError::NotFound)?;
        let batch = Batch::new().expect_version(&asset, version);
        Ok((home.delete(batch, &value), value.facts))
    }

    /// Whether there is something on the shelf that can be deleted: an asset or an upload.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn holds<S: Shelf>(&self, scope: &Scope, id: &AssetId) -> Result<bool, NexusError> {
        match self.deletion::<S>(scope, id).await {
            Ok(_) => Ok(true),
            Err(NexusError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
