//! Listing what lies in synced folders and cannot be a member.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::Local;
use super::caller::Caller;
use super::show;
use crate::agent::state::{LocalSet, Parent, members};
use crate::agent::tracker::oddities::{self, OddItem};
use crate::model::{Fault, MemberState, NodeId, SetId};
use crate::store::StoreError;
use crate::wire::{field, pb};

/// Items in one page.
const PAGE_MAX: usize = 1_000;

/// Lists them, of one set or at and beneath a path.
pub(super) async fn list(
    local: &Local,
    caller: Caller,
    request: pb::ListExcludedItemsRequest,
) -> Result<pb::ListExcludedItemsResponse, Fault> {
    let size = field::page_size("page_size", request.page_size, 100)?.min(PAGE_MAX);
    let (set, beneath) = show::scope(local, caller, &request.set_id, &request.path).await?;
    let state = pb::MemberState::try_from(request.state).unwrap_or_default();
    let mut after = if request.page_token.is_empty() { None } else { Some(decode(&request.page_token)?) };
    let mut items = Vec::new();
    loop {
        let page = local.context.store.read(|read| oddities::list(read, set, after.clone(), PAGE_MAX))?;
        let is_last = page.len() < PAGE_MAX;
        for item in page {
            after = Some((item.parent, item.name.clone()));
            let wanted = state == pb::MemberState::Unspecified || pb::MemberState::from(item.oddity.reason.state()) == state;
            if wanted && let Some(shown) = show(local, set, &item, beneath)? {
                items.push(shown);
            }
            if items.len() == size {
                return Ok(pb::ListExcludedItemsResponse { items, next_page_token: encode(&item) });
            }
        }
        if is_last {
            return Ok(pb::ListExcludedItemsResponse { items, next_page_token: String::new() });
        }
    }
}

/// How many there are.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) all: u64,
    /// Those of them about which a person must do something.
    pub(super) failed: u64,
}

/// Counts those of some sets.
pub(super) fn count(local: &Local, sets: &[(SetId, LocalSet)]) -> Result<Count, StoreError> {
    local.context.store.read(|read| {
        let mut count = Count::default();
        for (set, _) in sets {
            oddities::for_each(read, *set, |oddity| {
                count.all += 1;
                count.failed += u64::from(oddity.reason.state() == MemberState::Failed);
            })?;
        }
        Ok(count)
    })
}

/// Describes an item, if it lies beneath the folder that was asked for.
fn show(local: &Local, set: SetId, item: &OddItem, beneath: Option<NodeId>) -> Result<Option<pb::LocalMember>, StoreError> {
    let folder = match NodeId::from_bytes(&item.parent) {
        Ok(folder) => local.context.store.read(|read| members::load(read, set, folder))?,
        // It was a direct member.
        Err(_) => None,
    };
    let is_asked_for = match (&folder, beneath) {
        (_, None) => true,
        (Some(folder), beneath) => show::is_beneath(local, set, folder, beneath)?,
        (None, Some(_)) => false,
    };
    if !is_asked_for {
        return Ok(None);
    }
    let folder = folder.map(|row| show::path_of(local, set, &row)).transpose()?.unwrap_or_default();
    let reason = item.oddity.reason;
    Ok(Some(pb::LocalMember {
        set_id: set.to_string(),
        path: folder.join(PathBuf::from(OsString::from_vec(item.name.clone()))).display().to_string(),
        state: pb::MemberState::from(reason.state()).into(),
        reason: pb::Reason::from(reason).into(),
        text: reason.text().to_owned(),
        remedy: reason.remedy().to_owned(),
        detail: item.oddity.detail.clone(),
        ..pb::LocalMember::default()
    }))
}

/// The item as a page token: its folder and the bytes of its name, which need not be text.
fn encode(item: &OddItem) -> String {
    item.parent.iter().chain(&item.name).map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Result<(Parent, Vec<u8>), Fault> {
    let wrong = || Fault::invalid("page_token", "this is no token of an earlier page");
    if !token.is_ascii() || !token.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digits = (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16));
    let bytes = digits.collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    let (parent, name) = bytes.split_first_chunk::<16>().ok_or_else(wrong)?;
    Ok((*parent, name.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tracker::oddities::Oddity;
    use crate::model::Reason;

    #[test]
    fn a_page_token_leads_back_to_its_item_and_junk_is_refused() {
        let oddity = Oddity { reason: Reason::NameNotAllowed, detail: String::new() };
        let item = OddItem { parent: [7; 16], name: b"a\xff:".to_vec(), oddity };
        assert_eq!(decode(&encode(&item)).unwrap(), (item.parent, item.name));
        for junk in ["0", "zz", "00", "\u{e9}\u{e9}", "0".repeat(31).as_str()] {
            assert!(decode(junk).is_err(), "{junk}");
        }
    }
}
