//! Keeping blobs for good, without anything else in the transaction: how an agent stores pages and versions.

use super::stage::STAGE_BYTES_MAX;
use super::{CommitError, Depot, DepotError, Scope};
use crate::content::Blob;
use crate::store::TransactError;

impl Depot {
    /// Stages and commits blobs, in as many steps as their size asks for.
    ///
    /// # Errors
    /// As staging; what was kept until then stays.
    pub async fn keep(&self, scope: Scope, blobs: Vec<Blob>) -> Result<(), DepotError> {
        let mut rest = blobs.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|blob| {
                bytes += blob.bytes().len();
                bytes <= STAGE_BYTES_MAX
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            self.keep_now(scope, now).await?;
            rest = later;
        }
        Ok(())
    }

    async fn keep_now(&self, scope: Scope, blobs: &[Blob]) -> Result<(), DepotError> {
        loop {
            let staged = self.stage(scope, blobs).await?;
            match self.store.transact(move |tx| Self::commit(tx, &staged, None)).await {
                Ok(()) => return Ok(()),
                // Collected between the two steps: staged again, it is written again.
                Err(TransactError::Aborted(CommitError::Collected(_))) => {}
                Err(
                    TransactError::Aborted(CommitError::Store(error)) | TransactError::NotProcessed(error) | TransactError::Unknown(error),
                ) => {
                    return Err(error.into());
                }
            }
        }
    }
}
