//! What goes wrong, and when: a hook that is asked before each call of a process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skybridge::sys::Errno;

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CallKind {
    /// Opening, by path or by handle.
    Open,
    /// Asking for the state, a handle or a path.
    Stat,
    /// Reading bytes.
    Read,
    /// Reading the next entries of a folder.
    List,
    /// Reading attributes.
    Attribute,
    /// Adding, removing or reading watches.
    Watch,
    /// Making a file. This and all that follow are effects.
    Create,
    /// Making a folder.
    MakeFolder,
    /// Writing, or setting the length.
    Write,
    /// Making a file or a folder durable.
    Flush,
    /// Making a file system durable.
    FlushFileSystem,
    /// Renaming in any way.
    Rename,
    /// Giving a second name.
    Link,
    /// Removing a name.
    Remove,
    /// Changing attributes, owner or mode.
    SetAttribute,
}

impl CallKind {
    /// Whether it changes the world.
    #[must_use]
    pub(crate) fn is_effect(self) -> bool {
        self >= Self::Create
    }
}

/// A call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// What it is.
    pub(crate) kind: CallKind,
    /// Which effect of this process it will be, from 1 on; none if it changes nothing.
    pub(crate) effect: Option<u64>,
    /// The name or path in the call, empty if it has none.
    pub(crate) name: &'a [u8],
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is carried out.
    Proceed,
    /// It fails, and changes nothing; but after a failed flush, what was to be flushed never will be.
    Fail(Errno),
    /// A write stops after this many bytes, and fails.
    WriteStops(usize, Errno),
    /// The process ends before it.
    CrashBefore,
    /// The process ends when it is done.
    CrashAfter,
}

/// Decides about each call. It may use the disk as people do, and not as a process.
pub(crate) type Hook = Box<dyn FnMut(&Call<'_>) -> Verdict + Send>;

/// The counter and the hook of one process.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    effects: u64,
    hook: Option<Hook>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("effects", &self.effects()).finish_non_exhaustive()
    }
}

impl Faults {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn effects(&self) -> u64 {
        self.inner().effects
    }

    pub(super) fn set(&self, hook: Option<Hook>) {
        self.inner().hook = hook;
    }

    pub(super) fn ask(&self, kind: CallKind, name: &[u8]) -> Verdict {
        let mut inner = self.inner();
        inner.effects += u64::from(kind.is_effect());
        let effect = kind.is_effect().then_some(inner.effects);
        inner.hook.as_mut().map_or(Verdict::Proceed, |hook| hook(&Call { kind, effect, name }))
    }
}
