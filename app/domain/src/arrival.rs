//! Whether what a registry holds is to be deployed: what was there at the first look at a repository is history, and what arrives
//! after it counts.

/// How a newest artifact came to be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The whole repository was listed.
    Listed,
    /// Its registry told of a push.
    Told,
}

/// Whether the newest artifact of a repository is an arrival for a resource that follows it, so that it is to be deployed where it is newer
/// than what runs ([`Course`](crate::follow::Course)). `arrived` is its place in the order of arrival, or that of its tag where a rule names tags; `learned` is the last arrival that
/// was there when the repository was first listed in full for the resource, `None` before that.
#[must_use]
pub fn counts(arrived: i64, git_declares: bool, learned: Option<i64>, heard: Heard) -> bool {
    match (learned, heard) {
        (Some(learned), _) => arrived > learned,
        // A push is an arrival, whatever was there before.
        (None, Heard::Told) => true,
        (None, Heard::Listed) => !git_declares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_counts_only_where_git_declares_nothing() {
        assert!(counts(60, false, None, Heard::Listed));
        assert!(!counts(60, true, None, Heard::Listed));
    }

    #[test]
    fn after_it_only_what_arrives_counts() {
        for heard in [Heard::Listed, Heard::Told] {
            assert!(!counts(60, true, Some(60), heard));
            assert!(!counts(60, false, Some(60), heard), "it was there");
            assert!(counts(61, true, Some(60), heard));
        }
    }

    #[test]
    fn a_push_is_an_arrival_before_the_first_look_too() {
        assert!(counts(2, true, None, Heard::Told));
    }
}
