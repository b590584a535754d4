//! The id of the call that is being answered: what people quote, in the answer's header, in its status and in the log alike.

use std::sync::Arc;

use uuid::Uuid;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of a call. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Does something for the call.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// Lets a future work for the call.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, future)
    }
}

/// Returns the id of the call that is being answered here; a new one where there is none.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(|id| id.0.to_string()).unwrap_or_else(|_| Uuid::new_v4().to_string())
}
