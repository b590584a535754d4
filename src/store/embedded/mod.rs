//! The back end on redb, an embedded database in one file that one process holds.
//!
//! One thread writes. It takes a waiting transaction, runs it, takes the next, and makes them durable with one commit, so that
//! the cost of a flush is shared by all who wait. Only this folder knows redb.

mod engine;

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend, StorageError};
use tokio::sync::mpsc;

use super::backend::{Backend, Job, Outcome};
use super::migrate::{MigrateError, STEPS, Step, migrate};
use super::{OpenError, Read, Store, StoreError};
use engine::Engine;

/// Transactions that wait for the writer. More callers than this wait for room; each costs a boxed closure.
const QUEUE_TRANSACTIONS_MAX: usize = 1024;

/// How the database works.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// Memory for pages, in bytes. Less means more reads from the file; redb's own default of 1 GiB is too much beside other work.
    pub cache_bytes: usize,
    /// Writes the allocator's state with each commit: slower commits, and opening after a crash need not walk the whole file.
    pub quick_repair: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, quick_repair: false }
    }
}

pub(crate) fn open_file(path: &Path, options: RedbOptions) -> Result<Store, OpenError> {
    open_file_with(path, options, STEPS)
}

pub(crate) fn open_file_with(path: &Path, options: RedbOptions, steps: &'static [Step]) -> Result<Store, OpenError> {
    make_if_missing(path, &options)?;
    let owned = path.to_owned();
    let engine = start(path, move || file(&owned), options, steps)?;
    Ok(Store::on(Threaded::start(engine).map_err(|source| OpenError::Io { path: path.to_owned(), source })?))
}

pub(crate) fn open_inline<S: StorageBackend>(
    storage: impl Fn() -> io::Result<S> + Send + Sync + 'static,
    options: RedbOptions,
) -> Result<Store, OpenError> {
    start(Path::new("(storage)"), storage, options, STEPS).map(|engine| Store::on(Inline(engine)))
}

/// Makes an empty database under another name and gives it its own once it is whole: redb never again opens a file in whose making it was
/// interrupted.
fn make_if_missing(path: &Path, options: &RedbOptions) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let unfinished = path.with_extension("new");
    // A lock on it keeps two beginners apart; what one of them left behind when it was killed is begun anew.
    let backend = file(&unfinished).map_err(failed)?;
    backend.set_len(0).map_err(failed)?;
    let made = redb::Builder::new().set_cache_size(options.cache_bytes).create_with_backend(backend);
    drop(made.map_err(|error| open_error(path.to_owned(), error))?);
    // Unlike a rename, a link never takes the place of what another beginner made meanwhile.
    match std::fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => std::fs::remove_file(&unfinished).map_err(failed)?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Opens the file, readable by nobody else: it holds password hashes and tokens. What is read from it then is what the disk holds.
///
/// After a flush failed, Linux counts what it could not write as written: programs still read it, also those that open the file anew, and a
/// loss of power takes it away together with all that was built on it since.
fn file(path: &Path) -> io::Result<FileBackend> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.sync_data()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    FileBackend::new(file).map_err(io::Error::other)
}

fn start<S: StorageBackend>(
    path: &Path,
    storage: impl Fn() -> io::Result<S> + Send + Sync + 'static,
    options: RedbOptions,
    steps: &'static [Step],
) -> Result<Arc<Engine>, OpenError> {
    let quick_repair = options.quick_repair;
    let open = move || {
        let storage = storage().map_err(StorageError::Io)?;
        redb::Builder::new().set_cache_size(options.cache_bytes).create_with_backend(storage)
    };
    let engine = Arc::new(Engine::open(Box::new(open), quick_repair).map_err(|error| open_error(path.to_owned(), error))?);
    migrate(|job| engine.process(job, &mut || None), steps).map_err(|error| migrate_error(path.to_owned(), error))?;
    Ok(engine)
}

fn open_error(path: PathBuf, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => OpenError::Io { path, source },
        error => OpenError::Corrupt { path, detail: error.to_string() },
    }
}

fn migrate_error(path: PathBuf, error: MigrateError) -> OpenError {
    match error {
        MigrateError::Newer { found, supported } => OpenError::NewerFormat { path, found, supported },
        MigrateError::Failed(source) => OpenError::Migration { path, source },
    }
}

/// Runs each transaction in its caller's thread.
#[derive(Debug)]
struct Inline(Arc<Engine>);

impl Backend for Inline {
    fn submit(&self, job: Box<dyn Job>) -> BoxFuture<'_, ()> {
        self.0.process(job, &mut || None);
        futures::future::ready(()).boxed()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        self.0.snapshot()
    }
}

/// Runs all transactions in one thread of its own.
#[derive(Debug)]
struct Threaded {
    engine: Arc<Engine>,
    /// Both are there until the drop.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
}

impl Threaded {
    fn start(engine: Arc<Engine>) -> io::Result<Self> {
        let (queue, mut waiting) = mpsc::channel::<Box<dyn Job>>(QUEUE_TRANSACTIONS_MAX);
        let writing = Arc::clone(&engine);
        let writer = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                writing.process(first, &mut || waiting.try_recv().ok());
            }
        })?;
        Ok(Self { engine, queue: Some(queue), writer: Some(writer) })
    }

    async fn enqueue(&self, job: Box<dyn Job>) {
        let refused = match &self.queue {
            Some(queue) => queue.send(job).await.err().map(|mpsc::error::SendError(job)| job),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.answer(Outcome::NotProcessed(StoreError::Closed));
        }
    }
}

impl Backend for Threaded {
    fn submit(&self, job: Box<dyn Job>) -> BoxFuture<'_, ()> {
        self.enqueue(job).boxed()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        self.engine.snapshot()
    }
}

impl Drop for Threaded {
    /// Waits until what was submitted is durable and the file is free for the next one to open.
    fn drop(&mut self) {
        drop(self.queue.take());
        // The last clone of a store may have been in the body of a transaction: the writer cannot wait for itself.
        let writer = self.writer.take().filter(|writer| writer.thread().id() != std::thread::current().id());
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
    }
}
