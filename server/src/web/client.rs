//! From which network address a request comes. Behind proxies that the configuration trusts it is what they say in `X-Forwarded-For`;
//! whoever else sends that header is not believed.

use crate::config::Network;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Most entries of the header that are read: each proxy on the way adds one.
const MOST_HOPS: usize = 32;

/// Puts the client's address in place of the last proxy's, for everything that asks where a request comes from.
pub(super) async fn find(State(trusted): State<Arc<[Network]>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer.copied() {
        let client = client(peer.ip(), request.headers(), &trusted);
        let address = SocketAddr::new(client, peer.port());
        request.extensions_mut().insert(ConnectInfo(address));
    }
    next.run(request).await
}

/// The nearest address that is no trusted proxy. Each proxy adds at the right what it was called from, so what stands left of the first
/// that isn't trusted is anybody's word.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    let mut nearest = peer.to_canonical();
    if trusted.is_empty() {
        return nearest;
    }
    // Several lines of one header are one list.
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).take(MOST_HOPS);
    for hop in hops {
        if !is_trusted(nearest) {
            break;
        }
        match address(hop) {
            Some(address) => nearest = address,
            // It was written by a trusted proxy, but nobody can say what it means.
            None => break,
        }
    }
    nearest
}

/// An entry of the header; some proxies add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let parsed = hop
        .parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    parsed.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_nearest_address_that_is_no_proxy_counts() {
        let proxies: Vec<Network> = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        for (peer, lines, wanted) in [
            // Nobody is believed who isn't trusted.
            ("192.0.2.7", &["198.51.100.1"][..], "192.0.2.7"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // What the client itself wrote stands further left.
            ("127.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["127.0.0.1, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["1.2.3.4", "198.51.100.1,10.0.0.1"], "198.51.100.1"),
            ("fd00::1", &["2001:db8::5"], "2001:db8::5"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::5]:4711"], "2001:db8::5"),
            ("127.0.0.1", &["[2001:db8::5]"], "2001:db8::5"),
            // What can't be read ends the search.
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, unknown, 10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
            }
            let found = client(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(found, wanted.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
            let alone = client(peer.parse().unwrap(), &headers, &[]);
            assert_eq!(
                alone,
                peer.parse::<IpAddr>().unwrap().to_canonical(),
                "{peer} {lines:?}"
            );
        }
    }
}
