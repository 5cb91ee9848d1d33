//! Names and ids as Kubernetes gives them: they look random, and are the same for the same seed.

/// A uid in the shape of a UUID.
pub(crate) fn uid(seed: &str) -> String {
    let (high, low) = (hash(seed, 1), hash(seed, 2));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// The end of a generated name: letters without vowels, and digits that are no letters.
pub(crate) fn suffix(seed: &str, length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut left = hash(seed, 3);
    let count = LETTERS.len() as u64;
    (0..length)
        .map(|_| {
            let letter = usize::try_from(left % count).unwrap_or(0);
            left /= count;
            LETTERS.get(letter).copied().map_or('x', char::from)
        })
        .collect()
}

/// FNV-1a, with a salt so that one seed gives several numbers.
fn hash(seed: &str, salt: u8) -> u64 {
    let bytes = seed.bytes().chain([salt]);
    let plain = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // FNV leaves seeds that differ in their last letter close together.
    (plain ^ (plain >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (plain >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_steady_and_distinct() {
        assert_eq!(uid("a"), uid("a"));
        assert_ne!(uid("pod/1"), uid("pod/2"));
        assert_eq!(uid("a").len(), 36);
        assert_ne!(suffix("pod/1", 5), suffix("pod/2", 5));
        assert_eq!(suffix("a", 10).len(), 10);
    }
}
