//! Passwords: argon2id, a few at a time.
//!
//! Hashing is meant to be dear, so it has its own threads and a short queue: a
//! flood of sign-ins is refused with 429 and slows nobody else.
//!
//! **Invariant:** a sign-in costs one hash whether or not the user exists.

use std::{fmt, sync::Arc, time::Duration};

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use identity::Entropy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::ControlError;

/// Shortest and longest password, in bytes.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;
const SALT_BYTES: usize = 16;
/// Hashes at the same time; each takes a core and its memory.
const AT_ONCE_MAX: usize = 2;
/// Those who may wait for their turn, with those whose turn it is.
const WAITING_MAX: usize = 64;
/// How long one waits for a turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// When to come back after no turn was free.
const COME_BACK: Duration = Duration::from_secs(2);

/// A password of acceptable length; it never prints.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password of 8 to 1,024 bytes.
    ///
    /// # Errors
    /// [`ControlError::Invalid`].
    pub fn new(text: String) -> Result<Self, ControlError> {
        let text = Zeroizing::new(text);
        if PASSWORD_BYTES.contains(&text.len()) {
            return Ok(Self(text));
        }
        let (least, most) = (PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
        let why = format!("must have {least} to {most} bytes");
        Err(ControlError::invalid("/password", why))
    }

    /// What stands in for a password that cannot be right, so that it costs a hash too.
    pub(crate) fn impossible() -> Self {
        Self(Zeroizing::new(String::new()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// How dear a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PasswordCost {
    /// What OWASP's Password Storage Cheat Sheet asks for: 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self {
        memory_kib: 19_456,
        passes: 2,
    };

    fn argon2(self) -> Result<Argon2<'static>, ControlError> {
        Params::new(self.memory_kib, self.passes, 1, None)
            .map(Argon2::from)
            .map_err(|error| ControlError::Internal(format!("password cost: {error}")))
    }
}

/// Makes and checks password hashes, in PHC form.
pub(crate) struct Passwords {
    cost: PasswordCost,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// Hash of no one's password, checked for those who do not exist.
    decoy: Arc<str>,
}

/// The right to compute one hash.
pub(crate) struct Turn {
    argon2: Argon2<'static>,
    decoy: Arc<str>,
    entropy: Arc<dyn Entropy>,
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost, entropy: Arc<dyn Entropy>) -> Result<Self, ControlError> {
        let decoy = hash(&cost.argon2()?, &*entropy, b"no one's")?;
        Ok(Self {
            cost,
            entropy,
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            queue: Arc::new(Semaphore::new(WAITING_MAX)),
            decoy: decoy.into(),
        })
    }

    /// Waits for a turn, not for long and not behind many.
    pub(crate) async fn turn(&self) -> Result<Turn, ControlError> {
        let busy = || {
            metrics::counter!("tenantry_password_refused_total").increment(1);
            ControlError::Busy(COME_BACK)
        };
        let place = Arc::clone(&self.queue).try_acquire_owned();
        let place = place.map_err(|_| busy())?;
        let turn = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(Turn {
            argon2: self.cost.argon2()?,
            decoy: Arc::clone(&self.decoy),
            entropy: Arc::clone(&self.entropy),
            _turn: turn,
            _place: place,
        })
    }
}

impl Turn {
    /// The hash of a new password.
    pub(crate) async fn hash(self, password: &Password) -> Result<String, ControlError> {
        let password = password.0.clone();
        aside(move || hash(&self.argon2, &*self.entropy, password.as_bytes())).await?
    }

    /// Whether `password` is the one of `stored`; never, when nothing is stored.
    pub(crate) async fn verify(
        self,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<bool, ControlError> {
        let password = password.0.clone();
        let exists = stored.is_some();
        let phc = stored.map_or_else(|| self.decoy.to_string(), str::to_owned);
        let matches = aside(move || {
            // The turn must end with the work, not with the caller's patience.
            let turn = self;
            turn.argon2
                .verify_password(password.as_bytes(), phc.as_str())
                .is_ok()
        });
        Ok(matches.await? && exists)
    }
}

/// Runs work that computes for long on a thread that may block.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ControlError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ControlError::Unavailable(format!("password hashing: {error}")))
}

fn hash(
    argon2: &Argon2<'_>,
    entropy: &dyn Entropy,
    password: &[u8],
) -> Result<String, ControlError> {
    let mut salt = [0_u8; SALT_BYTES];
    entropy.fill(&mut salt);
    argon2
        .hash_password_with_salt(password, &salt)
        .map(|phc| phc.to_string())
        .map_err(|error| ControlError::Internal(format!("password hashing: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 8,
        passes: 1,
    };

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_matches_and_nobody_matches_the_decoy() {
        let passwords = Passwords::new(CHEAP, Arc::new(Sevens)).unwrap();
        let turn = passwords.turn().await.unwrap();
        let phc = turn.hash(&password("correct horse")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        for (text, stored, expect) in [
            ("correct horse", Some(phc.as_str()), true),
            ("wrong horse", Some(phc.as_str()), false),
            ("no one's", None, false),
        ] {
            let turn = passwords.turn().await.unwrap();
            assert_eq!(turn.verify(&password(text), stored).await, Ok(expect));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let passwords = Arc::new(Passwords::new(CHEAP, Arc::new(Sevens)).unwrap());
        let held = [
            passwords.turn().await.unwrap(),
            passwords.turn().await.unwrap(),
        ];
        let waits = (0..WAITING_MAX - AT_ONCE_MAX).map(|_| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move { passwords.turn().await.map(drop) })
        });
        let waits: Vec<_> = waits.collect();
        tokio::task::yield_now().await;
        assert_eq!(
            passwords.turn().await.map(drop),
            Err(ControlError::Busy(COME_BACK)),
            "the queue is full"
        );
        for wait in waits {
            assert_eq!(wait.await.unwrap(), Err(ControlError::Busy(COME_BACK)));
        }
        drop(held);
        assert!(passwords.turn().await.is_ok());
    }

    #[test]
    fn lengths_are_held_and_nothing_prints() {
        assert!(Password::new("1234567".to_owned()).is_err());
        assert!(Password::new("x".repeat(1025)).is_err());
        assert_eq!(format!("{:?}", password("very secret")), "Password(***)");
    }
}
