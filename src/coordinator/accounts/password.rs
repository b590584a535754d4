//! Hashing and checking passwords: Argon2id, on threads of their own, a few at a time.

use std::sync::Arc;

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    model::{Fault, FaultKind},
    sys::World,
    task,
};

/// Hashes computed at one time: each takes 19 MiB and a core.
const PARALLEL_MAX: usize = 2;
/// The shortest password, in characters.
const CHARACTERS_MIN: usize = 10;
/// The longest password, in bytes: nobody makes us hash megabytes.
const BYTES_MAX: usize = 1024;

/// A password's Argon2id hash with its salt and costs, in PHC form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Hashes and checks passwords. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    hasher: Argon2<'static>,
    world: Arc<dyn World>,
    /// Of a password that nobody has: checked where there is no account, so that this takes as long.
    nobody: Arc<PasswordHash>,
}

impl Passwords {
    /// Makes a hasher of these costs; computes one hash.
    ///
    /// # Errors
    /// When the costs are out of bounds.
    pub fn new(world: Arc<dyn World>, costs: Params) -> Result<Self, Fault> {
        let hasher = Argon2::from(costs);
        let nobody = compute(&hasher, &salt(&*world), super::Secret::draw(&*world, "").expose())?;
        Ok(Self { permits: Arc::new(Semaphore::new(PARALLEL_MAX)), hasher, world, nobody: Arc::new(nobody) })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When it is too short or too long; `field` names it.
    pub async fn hash(&self, field: &str, password: String) -> Result<PasswordHash, Fault> {
        let password = Zeroizing::new(password);
        if password.chars().count() < CHARACTERS_MIN {
            return Err(Fault::invalid(field, format!("a password has at least {CHARACTERS_MIN} characters")));
        }
        if password.len() > BYTES_MAX {
            return Err(Fault::invalid(field, format!("a password has at most {BYTES_MAX} bytes")));
        }
        let (hasher, salt) = (self.hasher.clone(), salt(&*self.world));
        self.run(move || compute(&hasher, &salt, &password)).await?
    }

    /// Whether a password is the one that was hashed. Without a hash it takes as long and is not.
    ///
    /// # Errors
    /// When the hash cannot be read.
    pub async fn matches(&self, hash: Option<PasswordHash>, password: String) -> Result<bool, Fault> {
        let password = Zeroizing::new(password);
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| (*self.nobody).clone());
        let equal = self.run(move || verify(&hash, &password)).await??;
        Ok(equal && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let permit = self.permits.acquire().await.map_err(|_| Fault::new(FaultKind::Unavailable, "stopping; try again later"))?;
        let result = task::blocking("hash a password", work).await.map_err(Fault::internal);
        drop(permit);
        result
    }
}

/// A salt of 128 bits.
fn salt(world: &dyn World) -> [u8; 16] {
    ((u128::from(world.draw()) << 64) | u128::from(world.draw())).to_be_bytes()
}

fn compute(hasher: &Argon2<'_>, salt: &[u8], password: &str) -> Result<PasswordHash, Fault> {
    let hash = hasher.hash_password_with_salt(password.as_bytes(), salt).map_err(Fault::internal)?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify(hash: &PasswordHash, password: &str) -> Result<bool, Fault> {
    let hash = phc::PasswordHash::new(&hash.0).map_err(Fault::internal)?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}
