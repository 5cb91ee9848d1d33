//! Carries notifications out, beside promotions and never in their way.
//!
//! Two things go on, each by looking. [`dispatch`] goes through the ledger behind a cursor and writes a delivery for each channel that an
//! entry is told through; nothing of that is in the transaction in which something happened. [`send`] takes deliveries that are due under
//! leases, sends them outside of any transaction, and writes what came of it: delivered, tried again later, given up. Killed in
//! between, the lease ends and it is sent once more, with the same id: at least once, and whoever gets it can tell. Any number of servers do
//! this on one database.

use crate::service::Services;
use dispatch::Dispatcher;
use send::Sender;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub mod dispatch;

pub mod send;

/// Does both until told to stop. `ledger` changes when the ledger grew.
pub async fn run(services: Services, owner: String, ledger: watch::Receiver<i64>, stop: CancellationToken) {
    let dispatching = Dispatcher::new(services.clone()).run(ledger, stop.clone());
    let sending = Sender::new(services, &owner).run(stop);
    tokio::join!(dispatching, sending);
}
