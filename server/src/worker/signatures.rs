//! Asking registries for the signatures that promotions wait for, beside all else: gates are looked at meanwhile, and nothing waits.

use super::Worker;
use crate::service::gates;
use contract::error::AppError;
use domain::{
    artifact::{Digest, Repository},
    id::EnvironmentId,
    promotion::Promotion,
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;

/// Images that are asked about at once.
const ASKING: usize = 4;
/// An image, and whose keys it must be signed with.
type Key = (EnvironmentId, Repository, Digest);

/// What is being asked just now.
#[derive(Debug)]
pub(super) struct Asking {
    asked: Mutex<HashSet<Key>>,
    places: Semaphore,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            asked: Mutex::default(),
            places: Semaphore::new(ASKING),
        }
    }
}

/// Somebody asks as long as this lives.
struct Turn {
    asking: Arc<Asking>,
    key: Key,
}

impl Asking {
    fn asked(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when it is being asked already.
    fn begin(self: &Arc<Self>, key: Key) -> Option<Turn> {
        let is_new = self.asked().insert(key.clone());
        is_new.then(|| Turn {
            asking: Arc::clone(self),
            key,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.asking.asked().remove(&self.key);
    }
}

impl Worker {
    /// Asks for what a waiting promotion lacks, once for all that wait for the same.
    pub(super) fn ask_for_signatures(&self, promotion: Promotion) {
        let image = &promotion.image;
        let key = (promotion.environment, image.repository.clone(), image.digest.clone());
        let Some(turn) = self.asking.begin(key) else { return };
        let worker = self.clone();
        self.tasks.spawn(async move {
            let ask = async {
                let Ok(_place) = worker.asking.places.acquire().await else {
                    return;
                };
                if let Err(error) = gates::ask_for_signatures(&worker.services, &promotion).await
                    && !matches!(error, AppError::Unavailable(_))
                {
                    tracing::error!(promotion = %promotion.id, %error, "it could not be asked for signatures");
                }
            };
            tokio::select! {
                () = ask => {}
                () = worker.cut_off.cancelled() => {}
            }
            drop(turn);
        });
    }
}
