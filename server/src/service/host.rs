//! Hosts that no address of a configuration may name: where a machine answers whoever asks from it with its own secrets.
//!
//! Private addresses are fine: Argo CD, Git and registries mostly have one. Link-local ones never are, and among them is what clouds
//! tell their machines (the "instance metadata service" of AWS, Azure, Google and others).

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host, as a browser would read it: `0xa9fea9fe` is an IP address, too.
enum Host {
    Address(IpAddr),
    Name(String),
}

/// `None` for what is no host.
fn host(authority: &str) -> Option<Host> {
    let url = Url::parse(&format!("http://{authority}/")).ok()?;
    let host = url.host_str()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Some(match bare.parse::<IpAddr>() {
        Ok(address) => Host::Address(address.to_canonical()),
        Err(_) => Host::Name(host.trim_end_matches('.').to_ascii_lowercase()),
    })
}

const WHY: &str =
    "This address is the machine's own, for what its cloud tells it. Write the address of the service itself.";

/// Names under which clouds serve metadata.
const NAMES: [&str; 4] = ["metadata", "metadata.google.internal", "metadata.goog", "instance-data"];

/// Refuses the host (with a port, or without) of an address where no service that Waybill works with can be.
///
/// # Errors
/// What to write instead.
pub(crate) fn check(authority: &str) -> Result<(), &'static str> {
    let refused = match host(authority) {
        Some(Host::Address(IpAddr::V4(address))) => is_refused_v4(address),
        Some(Host::Address(IpAddr::V6(address))) => is_refused_v6(address),
        Some(Host::Name(name)) => NAMES.contains(&name.as_str()),
        // Whether it is a host at all is another question.
        None => false,
    };
    if refused { Err(WHY) } else { Ok(()) }
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        // Alibaba's and Oracle's metadata.
        || matches!(address.octets(), [100, 100, 100, 200] | [192, 0, 0, 192])
}

fn is_refused_v6(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        // AWS' metadata.
        || address.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clouds_tell_their_machines_is_not_for_us() {
        for refused in [
            "169.254.169.254",
            "169.254.169.254:80",
            "0xa9fea9fe",
            "2852039166",
            "169.254.43518",
            "[fe80::1]",
            "[::ffff:169.254.169.254]:80",
            "[fd00:ec2::254]",
            "0.0.0.0:3000",
            "[::]",
            "Metadata.Google.Internal",
            "metadata.google.internal.",
            "100.100.100.200",
            "255.255.255.255",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
        for fine in [
            "127.0.0.1:5000",
            "10.0.0.4",
            "192.168.1.2:443",
            "argocd.example.com",
            "argocd-server.argocd.svc",
            "[::1]:5000",
            "[fd12:3456::1]",
            "no host",
        ] {
            assert!(check(fine).is_ok(), "{fine}");
        }
    }
}
