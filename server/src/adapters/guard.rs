//! Where names may lead: asked for each new connection, so that a name which leads elsewhere the second time leads nowhere.
//!
//! An address that somebody wrote as numbers is judged where it is written; a name only shows what it is when it is connected to. The
//! HTTP clients of all adapters resolve names with a [`Guard`], and the `git` program is told what to connect to.

use domain::outside::Reach;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing of ours ever goes there.
    #[error(
        "it leads to the machine's surroundings (link-local, metadata, multicast), where Waybill never connects to"
    )]
    Never,
    /// It leads into a private network, which wasn't allowed.
    #[error("it leads into a private network or to this machine")]
    Private,
}

/// Resolves names, and keeps of what they lead to only where may be connected to.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    allow_private: bool,
}

impl Guard {
    /// For connections, which may stand in a private network.
    #[must_use]
    pub fn of_connections() -> Arc<Self> {
        Self::new(true)
    }

    /// `allow_private` lets names lead to private networks and this machine too.
    #[must_use]
    pub fn new(allow_private: bool) -> Arc<Self> {
        Arc::new(Self { allow_private })
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let kept = keep(found, allow_private)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// What a connection's host leads to. Empty when nobody knows the name: whoever connects may ask a proxy, or will say so.
///
/// # Errors
/// When it only leads where Waybill doesn't connect to.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, Refused> {
    let found = match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => found.collect(),
        Err(_) => Vec::new(),
    };
    Ok(keep(found, true)?.iter().map(SocketAddr::ip).collect())
}

/// Whether an address may be connected to.
///
/// # Errors
/// Why not.
pub fn permitted(address: IpAddr, allow_private: bool) -> Result<(), Refused> {
    match Reach::of(address) {
        Reach::Public => Ok(()),
        Reach::Private if allow_private => Ok(()),
        Reach::Private => Err(Refused::Private),
        Reach::Never => Err(Refused::Never),
    }
}

/// Those of a name's addresses that may be connected to.
fn keep(found: Vec<SocketAddr>, allow_private: bool) -> Result<Vec<SocketAddr>, Refused> {
    let mut why = None;
    let kept: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| match permitted(address.ip(), allow_private) {
            Ok(()) => true,
            Err(refused) => {
                why = Some(refused);
                false
            }
        })
        .collect();
    match why {
        Some(refused) if kept.is_empty() => Err(refused),
        _ => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_connected_to_only_where_it_may() {
        let all: Vec<SocketAddr> = ["127.0.0.1:0", "8.8.8.8:0", "169.254.169.254:0"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(keep(all.clone(), false).unwrap(), [all[1]]);
        assert_eq!(keep(all.clone(), true).unwrap(), [all[0], all[1]]);
        assert_eq!(keep(vec![all[0]], false), Err(Refused::Private));
        assert_eq!(keep(vec![all[2]], true), Err(Refused::Never));
        assert_eq!(keep(Vec::new(), false), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn connections_may_lead_to_this_machine_and_never_to_its_surroundings() {
        assert!(addresses("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
        // A resolver answers an address with itself, as it answers a name that somebody pointed there.
        assert_eq!(addresses("169.254.169.254").await, Err(Refused::Never));
        assert_eq!(addresses("::ffff:169.254.169.254").await, Err(Refused::Never));
        assert_eq!(addresses("no-such-name.invalid").await, Ok(Vec::new()));
    }
}
