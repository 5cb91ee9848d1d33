//! Where an address leads: to the world, into a private network, or where nothing of ours ever goes.
//!
//! Git, Argo CD and registries stand at private addresses in most installations, so those are fine for connections; for what people
//! have notified they are the configuration's to allow. Link-local addresses are never anybody's: a cloud hands out credentials there
//! to whoever asks from the machine itself. Nor are those that are no single machine's. What is written as an address is judged here,
//! in all the ways of writing one that programs understand; what a name resolves to is judged by whoever connects, with [`Reach::of`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What to say where a host was written that nothing goes to.
pub const WHY: &str = "Waybill doesn't connect to link-local and metadata addresses: they belong to the machine that it runs on. \
     Write the address of the server itself.";

/// Where clouds answer their machines, outside of link-local: Alibaba, Oracle, Azure.
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// Amazon's and Google's, among unique local addresses that are otherwise anybody's.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
/// Google's and Amazon's, by name.
const METADATA_NAMES: [&str; 4] = ["metadata.google.internal", "metadata.goog", "metadata", "instance-data"];

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere in the world.
    Public,
    /// A private network, or this machine.
    Private,
    /// The machine's surroundings, or no single machine: link-local, metadata, multicast, what was never given out.
    Never,
}

impl Reach {
    /// Of an address, whatever clothes it wears.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// Whether nothing goes to a host, as it is written, with or without a port.
#[must_use]
pub fn is_forbidden(authority: &str) -> bool {
    let host = host_of(authority).trim_end_matches('.').to_ascii_lowercase();
    METADATA_NAMES.contains(&host.as_str()) || literal(&host).is_some_and(|address| Reach::of(address) == Reach::Never)
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

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA.contains(&address) {
        return Reach::Never;
    }
    match (a, b, c) {
        // This network, link-local, multicast, and what was never given out, broadcast with it.
        (0, ..) | (169, 254, _) | (224.., ..) => Reach::Never,
        (10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) => Reach::Private,
        // Between a provider and its customers, protocols, measurements.
        (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) => Reach::Private,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) || address.is_unspecified() {
        return Reach::Never;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    let inside = |high: u16, low: u16| of_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // An IPv4 address in other clothes: mapped, compatible, translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => inside(high, low),
        // Teredo hides one where it can't be seen whose it is; multicast is nobody's.
        [0x2001, 0, ..] => Reach::Never,
        [first, ..] if first >= 0xff00 => Reach::Never,
        [first, ..] if first & 0xffc0 == 0xfe80 => Reach::Never,
        // Unique local, site-local of old, translation of a network's own.
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Reach::Private,
        [0x64, 0xff9b, 1, ..] => Reach::Private,
        _ => Reach::Public,
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
