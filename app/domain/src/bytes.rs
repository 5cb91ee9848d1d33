//! Amounts of bytes in words.

/// Bytes for people, in decimal units as registries count them: `812 B`, `24.6 MB`.
#[must_use]
pub fn shown(n: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, size)| n >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", n / size, n % size * 10 / size),
        None => format!("{n} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn sizes_use_the_largest_fitting_unit() {
        for (n, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (24_650_000, "24.6 MB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(shown(n), want);
        }
    }
}
