//! The store's format number, and the steps that bring an older store to it.

use serde::{Deserialize, Serialize};

use super::backend::{Call, Job};
use super::{ReadExt as _, Record, StoreError, Table, TransactError, Transaction, WriteExt as _};

/// One piece of one migration, in a transaction of its own: continues after the cursor that the piece before returned, and returns
/// its own, or nothing when there is nothing left to do.
pub(crate) type Step = fn(&mut Transaction<'_>, cursor: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError>;

/// The migrations so far: the one at index `i` takes a store from format `i + 1` to `i + 2`. Add at the end, never remove.
/// A store of the coordinator and one of the agent share the numbers; a step finds nothing to do in the other's.
pub(crate) const STEPS: &[Step] = &[];

/// Why a store cannot be brought to this program's format.
#[derive(Debug)]
pub(crate) enum MigrateError {
    Newer { found: u32, supported: u32 },
    Failed(StoreError),
}

/// What the store as a whole looks like.
struct Format;

impl Record for Format {
    const TABLE: Table = Table::Format;
    const FORMAT: u8 = 1;
    type Key = ();
    type Value = FormatRow;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FormatRow {
    number: u32,
    /// Where the migration to the next number stands, so that one that was interrupted goes on.
    cursor: Option<Vec<u8>>,
}

/// Brings a store to the format after the last of `steps`, and an empty one there at once. `process` runs and answers a job.
pub(crate) fn migrate(process: impl Fn(Box<dyn Job>), steps: &'static [Step]) -> Result<(), MigrateError> {
    loop {
        let (job, mut answer) = Call::queued(move |transaction: &mut Transaction<'_>| advance(transaction, steps));
        process(job);
        match answer.try_recv() {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(StoreError::Closed.into()),
        }
    }
}

/// Does one piece. Returns whether there may be more.
fn advance(transaction: &mut Transaction<'_>, steps: &[Step]) -> Result<bool, MigrateError> {
    let supported = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
    let Some(row) = transaction.get::<Format>(&())? else {
        transaction.put::<Format>(&(), &FormatRow { number: supported, cursor: None })?;
        return Ok(false);
    };
    if row.number == supported {
        return Ok(false);
    }
    let step = usize::try_from(row.number).ok().and_then(|number| number.checked_sub(1)).and_then(|index| steps.get(index));
    let Some(step) = step else { return Err(MigrateError::Newer { found: row.number, supported }) };
    let next = match step(transaction, row.cursor.as_deref())? {
        cursor @ Some(_) => FormatRow { number: row.number, cursor },
        None => FormatRow { number: row.number + 1, cursor: None },
    };
    transaction.put::<Format>(&(), &next)?;
    Ok(true)
}

impl From<StoreError> for MigrateError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<TransactError<Self>> for MigrateError {
    fn from(error: TransactError<Self>) -> Self {
        match error {
            TransactError::Aborted(error) => error,
            TransactError::NotProcessed(error) | TransactError::Unknown(error) => Self::Failed(error),
        }
    }
}
