//! The part of the document that `make bench-mirror` writes. `make bench` writes the rest, and each leaves the other's as it is.

const BEGIN: &str = "<!-- make bench-mirror: begin -->";
const END: &str = "<!-- make bench-mirror: end -->";

/// The part with its marks; nothing when there is none.
fn of(document: &str) -> &str {
    let begin = document.find(BEGIN);
    let end = document.find(END).map(|at| at + END.len());
    begin
        .zip(end)
        .and_then(|(begin, end)| document.get(begin..end))
        .unwrap_or_default()
}

/// The document with this part instead of the one that it has, at its end where it has none.
#[allow(dead_code, reason = "each of two programs uses one of these")]
pub(crate) fn put(document: &str, part: &str) -> String {
    let part = format!("{BEGIN}\n\n{}\n\n{END}", part.trim());
    match of(document) {
        "" => format!("{}\n\n{part}\n", document.trim_end()),
        old => document.replacen(old, &part, 1),
    }
}

/// Another document with the part of the old one.
#[allow(dead_code, reason = "each of two programs uses one of these")]
pub(crate) fn keep(old: &str, document: &str) -> String {
    match of(old) {
        "" => document.to_owned(),
        part => format!("{}\n\n{part}\n", document.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_keeps_what_the_other_wrote() {
        let first = put("# Benchmarks\n\ntext\n", "## Copies\n\none\n");
        assert!(first.starts_with("# Benchmarks\n\ntext\n\n<!--"), "{first}");
        let second = put(&first, "## Copies\n\ntwo\n");
        assert!(second.contains("two") && !second.contains("one"), "{second}");
        let third = keep(&second, "# Benchmarks\n\nother\n");
        assert_eq!(third, second.replace("text", "other"));
        assert_eq!(keep("# Benchmarks\n", "new\n"), "new\n");
    }
}
