//! Changes on their way to the agent: each set is read from its cursor, at most so many batches ahead of the acknowledgements.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;

use crate::coordinator::auth::CallingAgent;
use crate::coordinator::content;
use crate::coordinator::context::Context;
use crate::coordinator::journal;
use crate::coordinator::operations::check_grant;
use crate::model::{Cursor, Fault, Refusal, Sequence, SetId};
use crate::telemetry::{metrics, traceparent};
use crate::wire::{Ack, ChangeBatch, CoordinatorMessage, Directive, Subscription, pb};

/// The most changes in one batch.
const BATCH_CHANGES_MAX: usize = 500;
/// The most bytes of one batch, if it is more than one change: 500 ordinary changes fit. An agent leaves who sends no whole message for 30
/// seconds, and on a link of 64 kbit/s this takes 16.
const BATCH_BYTES_MAX: usize = 128 * 1024;
/// The most sets that one session follows.
const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Where the delivery of one set is.
#[derive(Debug)]
struct Followed {
    /// Where the agent said that it stands; `None` when it holds nothing.
    from: Option<Cursor>,
    /// Up to where nothing further concerns the set, as was seen when it was last read.
    covered: Option<Cursor>,
    /// The ends of the batches that were not acknowledged yet.
    unacknowledged: VecDeque<Sequence>,
    /// Whether there may be something to read.
    pending: bool,
    /// Whether what the agent said at first was not looked at yet.
    fresh: bool,
}

/// The sets that one session follows.
#[derive(Debug)]
pub(super) struct Deliveries {
    caller: CallingAgent,
    window_batches: usize,
    sets: BTreeMap<SetId, Followed>,
    /// Where agents went on from, found to be in the journal: what they hold.
    resumed: Vec<(SetId, Cursor)>,
}

impl Deliveries {
    pub(super) fn new(caller: CallingAgent, window_batches: u32) -> Self {
        Self { caller, window_batches: window_batches as usize, sets: BTreeMap::new(), resumed: Vec::new() }
    }

    /// Follows a set from where the agent stands, whatever was sent of it before.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn subscribe(&mut self, subscription: Subscription) -> Result<(), Fault> {
        if self.sets.len() >= SUBSCRIPTIONS_MAX {
            return Err(Fault::invalid("subscribe.set_id", format!("a session follows at most {SUBSCRIPTIONS_MAX} sets")));
        }
        let followed = Followed { from: subscription.cursor, covered: None, unacknowledged: VecDeque::new(), pending: true, fresh: true };
        self.sets.insert(subscription.set, followed);
        Ok(())
    }

    /// Says that the journal has grown.
    pub(super) fn wake(&mut self) {
        self.sets.values_mut().for_each(|followed| followed.pending = true);
    }

    /// Takes an acknowledgement, and says whether it is of a set that is followed here.
    ///
    /// # Errors
    /// When it is ahead of what was sent.
    pub(super) fn acknowledge(&mut self, ack: &Ack) -> Result<bool, Fault> {
        // What was resubscribed, resynchronised or ended meanwhile may be acknowledged late.
        let Some(followed) = self.sets.get_mut(&ack.set) else { return Ok(false) };
        let Some(from) = followed.from.filter(|from| from.epoch == ack.cursor.epoch) else { return Ok(false) };
        if ack.cursor.sequence > from.sequence {
            return Err(Fault::invalid("ack.cursor", "acknowledges what was not sent"));
        }
        while followed.unacknowledged.front().is_some_and(|end| *end <= ack.cursor.sequence) {
            followed.unacknowledged.pop_front();
        }
        Ok(true)
    }

    /// Returns the next message, if there is one and the window is open.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn next(&mut self, context: &Context) -> Result<Option<CoordinatorMessage>, Fault> {
        while self.is_open() {
            let Some((set, followed)) = self.sets.iter_mut().find(|(_, followed)| followed.pending) else { break };
            let set = *set;
            let read = read(context, self.caller, set, followed.from)?;
            if let (Read::Changes(_) | Read::Nothing { covered: Some(_) }, true) = (&read, std::mem::take(&mut followed.fresh)) {
                self.resumed.extend(followed.from.map(|from| (set, from)));
            }
            match read {
                Read::Changes(mut batch) => {
                    let span = tracing::info_span!("deliver changes", %set, entries = batch.changes.len());
                    batch.traceparent = span.in_scope(traceparent);
                    metrics().delivered(batch.changes.len());
                    followed.from = Some(batch.to_inclusive);
                    followed.pending = batch.more_follows;
                    followed.unacknowledged.push_back(batch.to_inclusive.sequence);
                    return Ok(Some(CoordinatorMessage::Changes(batch)));
                }
                Read::Nothing { covered } => {
                    followed.pending = false;
                    followed.covered = covered;
                }
                Read::Resync { detail } => {
                    self.sets.remove(&set);
                    return Ok(Some(CoordinatorMessage::ResyncRequired { set, detail }));
                }
                Read::Ended => {
                    self.sets.remove(&set);
                    return Ok(Some(CoordinatorMessage::Directive(Directive::SetEnded { set })));
                }
            }
        }
        Ok(None)
    }

    /// Takes what is known to be held because it was resumed from.
    pub(super) fn take_resumed(&mut self) -> Vec<(SetId, Cursor)> {
        std::mem::take(&mut self.resumed)
    }

    /// Returns an empty batch for a set whose cursor can move on although nothing concerns it, so that the journal can be shortened.
    pub(super) fn progress(&mut self) -> Option<CoordinatorMessage> {
        if !self.is_open() {
            return None;
        }
        self.sets.iter_mut().find_map(|(set, followed)| {
            let (from, to) = followed.from.zip(followed.covered.take())?;
            if to.epoch != from.epoch || to.sequence <= from.sequence {
                return None;
            }
            followed.from = Some(to);
            followed.unacknowledged.push_back(to.sequence);
            let batch = ChangeBatch {
                set: *set,
                from_exclusive: from,
                to_inclusive: to,
                changes: Vec::new(),
                more_follows: false,
                traceparent: String::new(),
            };
            Some(CoordinatorMessage::Changes(batch))
        })
    }

    fn is_open(&self) -> bool {
        self.sets.values().map(|followed| followed.unacknowledged.len()).sum::<usize>() < self.window_batches
    }
}

/// What there is to tell of a set.
enum Read {
    Changes(ChangeBatch),
    Nothing { covered: Option<Cursor> },
    Resync { detail: String },
    Ended,
}

fn read(context: &Context, caller: CallingAgent, set: SetId, from: Option<Cursor>) -> Result<Read, Fault> {
    context.read(|read| {
        let definition = match check_grant(read, &content::AccountsGate, caller.agent, set)? {
            Ok(definition) => definition,
            Err(Refusal::Missing) => return Ok(Read::Ended),
            // The set stands still; pushes are told why. Whoever heals it wakes the network's sessions.
            Err(_) => return Ok(Read::Nothing { covered: None }),
        };
        let Some(from) = from else { return Ok(Read::Resync { detail: "the agent holds nothing".to_owned() }) };
        Ok(match journal::changes(read, &definition, from, BATCH_CHANGES_MAX)? {
            Err(error) => Read::Resync { detail: error.to_string() },
            Ok(changes) if changes.entries.is_empty() => Read::Nothing { covered: Some(changes.covered_to) },
            Ok(changes) => Read::Changes(fit(ChangeBatch {
                set,
                from_exclusive: from,
                to_inclusive: changes.covered_to,
                changes: changes.entries,
                more_follows: changes.more,
                traceparent: String::new(),
            })),
        })
    })
}

/// Leaves the later half for the next batch until it fits into a message.
fn fit(mut batch: ChangeBatch) -> ChangeBatch {
    while batch.changes.len() > 1 && pb::ChangeBatch::from(batch.clone()).encoded_len() > BATCH_BYTES_MAX {
        batch.changes.truncate(batch.changes.len() / 2);
        batch.more_follows = true;
        if let Some(last) = batch.changes.last() {
            batch.to_inclusive.sequence = last.sequence;
        }
    }
    batch
}
