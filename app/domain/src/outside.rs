//! Hosts that no connection may lead to: where a machine is told who it is by what it runs on.
//!
//! Git, Argo CD and registries stand at private addresses in most installations, so those are fine. Link-local addresses are never
//! theirs: a cloud hands out credentials there to whoever asks from the machine itself. Nor are those that are no single machine's.
//! Only what is written as an address can be judged here, in all the ways of writing one that programs understand; what a name
//! resolves to is for whoever connects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What to say where such a host was written.
pub const WHY: &str = "Waybill doesn't connect to link-local and metadata addresses: they belong to the machine that it runs on. \
     Write the address of the server itself.";

/// Where clouds answer beside the link-local addresses: Alibaba, Oracle, Azure.
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// Amazon's, among unique local addresses that are otherwise anybody's.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Google's and Amazon's, by name.
const METADATA_NAMES: [&str; 4] = ["metadata.google.internal", "metadata.goog", "metadata", "instance-data"];

/// Whether a host, with or without a port, is one of them.
#[must_use]
pub fn is_forbidden(authority: &str) -> bool {
    let host = host_of(authority).trim_end_matches('.').to_ascii_lowercase();
    if METADATA_NAMES.contains(&host.as_str()) {
        return true;
    }
    match literal(&host) {
        Some(IpAddr::V4(address)) => is_forbidden_v4(address),
        Some(IpAddr::V6(address)) => is_forbidden_v6(address),
        None => false,
    }
}

/// Without port, brackets and zone.
fn host_of(authority: &str) -> &str {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None if authority.matches(':').count() > 1 => authority,
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.split('%').next().unwrap_or(host)
}

fn literal(host: &str) -> Option<IpAddr> {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => Some(IpAddr::V6(address)),
        Err(_) => any_ipv4(host).map(IpAddr::V4),
    }
}

/// An IPv4 address in the ways that libraries read one: up to four numbers, each decimal, octal (`0251`) or hexadecimal (`0xa9`), the
/// last of which fills what is left. `2852039166` is `169.254.169.254`.
fn any_ipv4(host: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|n| *n > 255) {
        return None;
    }
    let room = 8 * (4 - u32::try_from(first.len()).ok()?);
    if *last >= 1 << room {
        return None;
    }
    let high = first.iter().fold(0, |all, n| all << 8 | n);
    u32::try_from(high << room | last).ok().map(Ipv4Addr::from)
}

fn number(part: &str) -> Option<u64> {
    if !part.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match (part.strip_prefix("0x"), part.strip_prefix('0')) {
        (Some(""), _) | (None, Some("")) => Some(0),
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) => u64::from_str_radix(octal, 8).ok(),
        (None, None) => part.parse().ok(),
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || METADATA.contains(&address)
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inside = |high: u16, low: u16| is_forbidden_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // An IPv4 address in IPv6's clothes: compatible, mapped, translated.
        [0, 0, 0, 0, 0, 0] | [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            // `::1` is this machine, where a registry may well be.
            address != Ipv6Addr::LOCALHOST && inside(g, h)
        }
        [0x2002, high, low, ..] => inside(high, low),
        _ => a & 0xffc0 == 0xfe80 || address.is_multicast() || address == METADATA_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_however_they_are_written() {
        for host in [
            "169.254.169.254",
            "169.254.169.254:80",
            "169.254.169.254.",
            "169.254.0.1:443",
            "2852039166",
            "0xA9FEA9FE",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "[fe80::1]:8080",
            "[fe80::1%25eth0]",
            "fe80::1%eth0",
            "febf::1",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]:5000",
            "[::ffff:a9fe:a9fe]",
            "::169.254.169.254",
            "[64:ff9b::169.254.169.254]",
            "2002:a9fe:a9fe::1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "Metadata.Google.Internal",
            "metadata.google.internal.:80",
            "instance-data",
            "0.0.0.0:3000",
            "[::]",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
        ] {
            assert!(is_forbidden(host), "{host}");
        }
    }

    #[test]
    fn private_addresses_and_names_are_fine() {
        for host in [
            "127.0.0.1:5000",
            "localhost",
            "10.0.0.1",
            "192.168.1.1:8443",
            "172.16.0.1",
            "[::1]:5000",
            "[fd00::1]",
            "[fec0::1]",
            "8.8.8.8",
            "git.example.com",
            "argocd.example.com:443",
            "169.254.example.com",
            "169-254-169-254.example.com",
            "1.2.3.4.5",
            "169.253.255.255",
            "169.255.0.0",
            "08.1.1.1",
            "",
            "[",
            "18446744073709551616",
            "4294967296",
        ] {
            assert!(!is_forbidden(host), "{host}");
        }
    }
}
