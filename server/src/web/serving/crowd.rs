//! Who is connected: how many there may be, of each address and in all, and who leaves for others.

use super::life::Life;
use crate::{
    config::{Limits, Network},
    telemetry::{self, Refused},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// The connections of a listener.
#[derive(Debug)]
pub struct Crowd {
    limits: Limits,
    trusted: Arc<[Network]>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    number: u64,
    connections: HashMap<u64, Connection>,
    /// Those of an address that stay.
    of_address: HashMap<IpAddr, usize>,
    /// Those that stay.
    staying: usize,
}

#[derive(Debug)]
struct Connection {
    /// `None` for trusted proxies, through which everybody may come.
    address: Option<IpAddr>,
    life: Arc<Life>,
    /// It has been told to make room and counts no more.
    is_leaving: bool,
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    life: Arc<Life>,
    is_trusted: bool,
}

impl Crowd {
    /// Nobody yet. `trusted` are the proxies that have no limit of their own.
    #[must_use]
    pub fn new(limits: Limits, trusted: Arc<[Network]>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            trusted,
            open: Mutex::default(),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in, or says which limit doesn't allow it. Where a limit is reached, whoever has done nothing for longest leaves;
    /// their life is returned.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, life: Arc<Life>) -> Result<(Seat, Option<Arc<Life>>), Refused> {
        let peer = peer.to_canonical();
        let is_trusted = self.trusted.iter().any(|network| network.holds(peer));
        let address = (!is_trusted).then(|| counted(peer));
        let mut open = self.open();
        let of_address = address.map_or(0, |address| open.of_address.get(&address).copied().unwrap_or_default());
        let mut leaving = None;
        if of_address >= self.limits.per_address {
            let idle = open.let_leave(|connection| connection.address == address);
            leaving = Some(idle.ok_or(Refused::Address)?);
        } else if open.staying >= self.limits.total {
            let idle = open.let_leave(|_| true);
            leaving = Some(idle.ok_or(Refused::Total)?);
        }
        let number = open.number;
        open.number += 1;
        open.staying += 1;
        if let Some(address) = address {
            *open.of_address.entry(address).or_default() += 1;
        }
        let connection = Connection {
            address,
            life: Arc::clone(&life),
            is_leaving: false,
        };
        open.connections.insert(number, connection);
        telemetry::connections_open(1.0);
        let seat = Seat {
            crowd: Arc::clone(self),
            number,
            life,
            is_trusted,
        };
        Ok((seat, leaving))
    }

    /// Lets the one leave that has done nothing for longest, if there is one.
    pub(super) fn make_room(&self) {
        self.open().let_leave(|_| true);
    }

    /// Ends those that have kept the server waiting for too long.
    pub(super) fn close_overdue(&self, now: Instant) {
        let open = self.open();
        let lives = open.connections.values().map(|connection| &connection.life);
        let closed = lives.filter_map(|life| life.close_when_overdue(now, &self.limits));
        closed.for_each(telemetry::connection_closed);
    }
}

impl Open {
    fn let_leave(&mut self, may: impl Fn(&Connection) -> bool) -> Option<Arc<Life>> {
        let staying = self
            .connections
            .iter()
            .filter(|(_, connection)| !connection.is_leaving && may(connection));
        let idle = staying.filter_map(|(number, connection)| Some((connection.life.idle_since()?, *number)));
        let (_, number) = idle.min()?;
        let connection = self.connections.get_mut(&number)?;
        connection.is_leaving = true;
        connection.life.leave();
        let (life, address) = (Arc::clone(&connection.life), connection.address);
        self.forget(address);
        telemetry::connection_closed(telemetry::Closed::Room);
        Some(life)
    }

    /// One that stayed doesn't count any more.
    fn forget(&mut self, address: Option<IpAddr>) {
        self.staying = self.staying.saturating_sub(1);
        let Some(address) = address else { return };
        if let Some(count) = self.of_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_address.remove(&address);
            }
        }
    }
}

impl Seat {
    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Whether it is a trusted proxy's.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.crowd.open();
        if let Some(connection) = open.connections.remove(&self.number)
            && !connection.is_leaving
        {
            open.forget(connection.address);
        }
        drop(open);
        telemetry::connections_open(-1.0);
        self.life.gone.cancel();
    }
}

/// As what an address is counted. Of IPv6 somebody has at least a whole /64: its addresses are one.
fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Version;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    fn life(now: Instant) -> Arc<Life> {
        Arc::new(Life::new(now, CancellationToken::new(), CancellationToken::new()))
    }

    fn crowd(per_address: usize, total: usize) -> Arc<Crowd> {
        let limits = Limits {
            per_address,
            total,
            ..Limits::default()
        };
        Crowd::new(limits, ["10.0.0.0/8".parse().unwrap()].into())
    }

    #[test]
    fn whoever_did_nothing_for_longest_leaves_for_the_next() {
        let (crowd, begin) = (crowd(2, 10), Instant::now());
        let [one, other, third] = [2, 1, 3].map(|n| life(begin + Duration::from_millis(n)));
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let (_one, none) = crowd.admit(address, one.clone()).unwrap();
        assert!(none.is_none());
        let (_other, none) = crowd.admit(address, other.clone()).unwrap();
        assert!(none.is_none());
        let (_third, leaving) = crowd.admit(address, third.clone()).unwrap();
        assert!(leaving.is_some_and(|life| Arc::ptr_eq(&life, &other)) && other.cut.is_cancelled());
        // Nobody leaves who is being answered.
        let _asks = [one.begin(Version::HTTP_11), third.begin(Version::HTTP_2)];
        assert_eq!(crowd.admit(address, life(begin)).unwrap_err(), Refused::Address);
        let elsewhere: IpAddr = "192.0.2.2".parse().unwrap();
        assert!(crowd.admit(elsewhere, life(begin)).is_ok());
        assert!(!one.cut.is_cancelled() && !third.cut.is_cancelled());
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let crowd = crowd(1, 1);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            let life = life(Instant::now());
            let _asks = life.begin(Version::HTTP_11);
            let (seat, none) = crowd.admit(address, life).unwrap();
            assert!(none.is_none());
            drop(seat);
        }
        assert_eq!(crowd.open().staying, 0);
        assert!(crowd.open().of_address.is_empty() && crowd.open().connections.is_empty());
    }

    #[test]
    fn proxies_have_the_limit_of_all_alone_and_a_network_of_ipv6_is_one_address() {
        let crowd = crowd(1, 4);
        let mut seats = Vec::new();
        let mut come = |address: &str| {
            let life = life(Instant::now());
            let asks = life.begin(Version::HTTP_11);
            let seat = crowd.admit(address.parse().unwrap(), life).map(|(seat, _)| seat);
            let refused = seat.as_ref().err().copied();
            seats.extend(seat.ok().map(|seat| (seat, asks)));
            refused
        };
        assert_eq!(come("10.0.0.1"), None);
        assert_eq!(come("::ffff:10.0.0.1"), None);
        assert_eq!(come("2001:db8:1:2::1"), None);
        assert_eq!(come("2001:db8:1:2:ffff::9"), Some(Refused::Address));
        assert_eq!(come("2001:db8:1:3::1"), None);
        assert_eq!(come("10.0.0.1"), Some(Refused::Total));
    }
}
