//! Checking that the whole of a content is there before something refers to it.

use std::collections::BTreeSet;

use super::records::{HeldKey, SealRow, Seals};
use super::{Depot, DepotError, Holder, Lease, Scope, kept};
use crate::content::{Difference, DifferenceStep, InvalidManifest, Tree};
use crate::model::{ContentRef, Hash};
use crate::store::{Read, ReadExt as _, StoreError, WriteExt as _};

/// The most hashes in one answer: about 32 KiB. Whoever sent these asks again.
const MISSING_MAX: usize = 1000;

/// Why a content was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// These are not there, or not leased to the holder; at most a thousand of them. A page hides what is missing beneath it.
    #[error("{} blobs are missing", .0.len())]
    Missing(Vec<Hash>),
    /// The manifest is not what its reference promises.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// The manifest claims another length for this chunk than it has.
    #[error("the manifest is wrong about the length of {0}")]
    Length(Hash),
    /// The depot failed.
    #[error(transparent)]
    Depot(#[from] DepotError),
}

impl Depot {
    /// Checks that every page and chunk of a content is there and either leased to the holder or part of `base`, a content that the
    /// holder may read. Then the whole content is leased to the holder, see [`Depot::sealed`].
    ///
    /// # Errors
    /// [`SealError::Missing`] says what to send. What is there but not the holder's counts as missing.
    pub async fn seal(
        &self,
        scope: Scope,
        lease: &Lease,
        content: &ContentRef,
        base: Option<&ContentRef>,
        now_ms: u64,
    ) -> Result<(), SealError> {
        let mut missing = BTreeSet::new();
        let mut difference = Difference::new(base, content)?;
        while let Some(step) = difference.step()? {
            match step {
                DifferenceStep::Load(Tree::Base, hash) => match self.read(scope, hash).await {
                    Ok(page) => difference.supply(&page)?,
                    Err(DepotError::Missing(_) | DepotError::Damaged(_)) => difference.skip(),
                    Err(error) => return Err(error.into()),
                },
                DifferenceStep::Load(Tree::New, hash) => {
                    if self.leased_length(scope, &lease.holder, hash, now_ms)?.is_some() {
                        difference.supply(&self.read(scope, hash).await?)?;
                    } else {
                        missing.insert(hash);
                        difference.skip();
                    }
                }
                DifferenceStep::Page(_) => {}
                DifferenceStep::Chunk(chunk) => match self.leased_length(scope, &lease.holder, chunk.hash, now_ms)? {
                    Some(length) if length != chunk.length => return Err(SealError::Length(chunk.hash)),
                    Some(_) => {}
                    None => {
                        missing.insert(chunk.hash);
                    }
                },
            }
            if missing.len() >= MISSING_MAX {
                break;
            }
        }
        if !missing.is_empty() {
            return Err(SealError::Missing(missing.into_iter().collect()));
        }
        let key = HeldKey { scope, holder: lease.holder.clone(), hash: content.root };
        let row = SealRow { content: *content, expires_at_ms: lease.expires_at_ms };
        let put = self.store.transact::<_, StoreError>(move |transaction| transaction.put::<Seals>(&key, &row)).await;
        Ok(put.map_err(DepotError::from)?)
    }

    fn leased_length(&self, scope: Scope, holder: &Holder, hash: Hash, now_ms: u64) -> Result<Option<u32>, DepotError> {
        Ok(self.store.read(|rows| {
            let leased = Self::leased(rows, scope, holder, hash, now_ms)?;
            Ok::<_, StoreError>(if leased { kept(rows, scope, hash)?.map(|row| row.length) } else { None })
        })?)
    }

    /// Returns whether a content was sealed for a holder and may be referred to. Ask in the transaction that refers to it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sealed(read: &impl Read, scope: Scope, holder: &Holder, content: &ContentRef, now_ms: u64) -> Result<bool, StoreError> {
        let seal = read.get::<Seals>(&HeldKey { scope, holder: holder.clone(), hash: content.root })?;
        Ok(seal.is_some_and(|seal| seal.content == *content && now_ms < seal.expires_at_ms))
    }
}
