//! How often somebody may try to sign in: counted by the address that calls and by the account that is tried.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _, clock::DefaultClock};

use crate::model::{Fault, FaultKind};

/// Attempts at one account: ten at once, then one in six seconds.
const ACCOUNT_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
const ACCOUNT_EVERY: Duration = Duration::from_secs(6);
/// Attempts from one address: an office may share it.
const ADDRESS_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
const ADDRESS_EVERY: Duration = Duration::from_secs(1);
/// Beyond so many keys those are forgotten whose allowance is whole again.
const KEYS_MAX: usize = 10_000;

/// Counts attempts. What is tried is kept as a hash of fixed size.
#[derive(Debug)]
pub struct Attempts {
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Attempts {
    fn default() -> Self {
        let quota = |every, burst| Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        Self {
            accounts: RateLimiter::keyed(quota(ACCOUNT_EVERY, ACCOUNT_BURST)),
            addresses: RateLimiter::keyed(quota(ADDRESS_EVERY, ADDRESS_BURST)),
        }
    }
}

impl Attempts {
    /// Counts an attempt.
    ///
    /// # Errors
    /// [`FaultKind::Exhausted`] with a delay, when there were too many.
    pub fn count(&self, address: Option<IpAddr>, account: &str) -> Result<(), Fault> {
        if self.accounts.len() > KEYS_MAX {
            self.accounts.retain_recent();
        }
        if self.addresses.len() > KEYS_MAX {
            self.addresses.retain_recent();
        }
        if let Some(address) = address {
            check(&self.addresses, &address)?;
        }
        check(&self.accounts, &super::hash(&account.to_lowercase()))
    }
}

fn check<K: std::hash::Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Fault> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        let message = format!("too many attempts: try again in {} seconds", wait.as_secs() + 1);
        Fault::new(FaultKind::Exhausted, message).retry_after(wait)
    })
}
