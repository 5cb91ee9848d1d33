//! Who may follow whom: no resource may end up following itself.

use crate::id::ResourceId;
use std::collections::HashMap;

/// The circle that a new source would close: each follows the next, the last follows the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle(pub Vec<ResourceId>);

impl Cycle {
    /// The circle in words, given each resource's name: `staging/api → development/api → staging/api`.
    #[must_use]
    pub fn describe(&self, name: impl Fn(ResourceId) -> String) -> String {
        let mut names: Vec<String> = self.0.iter().map(|id| name(*id)).collect();
        if let Some(first) = names.first().cloned() {
            names.push(first);
        }
        names.join(" → ")
    }
}

/// Checks that `follower` may take its image from `source`, given who follows whom today (`follows[a] = b`: a follows b).
///
/// # Errors
/// The circle that this would close, beginning with `follower`.
pub fn check(follows: &HashMap<ResourceId, ResourceId>, follower: ResourceId, source: ResourceId) -> Result<(), Cycle> {
    let mut path = vec![follower];
    let mut at = source;
    loop {
        if at == follower {
            return Err(Cycle(path));
        }
        // Circles that don't include the follower can't be closed by it; they end the walk all the same.
        if path.contains(&at) {
            return Ok(());
        }
        path.push(at);
        match follows.get(&at) {
            Some(next) => at = *next,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> ResourceId {
        ResourceId(Uuid::from_u128(n))
    }

    #[test]
    fn chains_are_fine_and_circles_are_named() {
        let follows = HashMap::from([(id(3), id(2)), (id(2), id(1))]);
        assert_eq!(check(&follows, id(4), id(3)), Ok(()));
        assert_eq!(check(&follows, id(1), id(1)), Err(Cycle(vec![id(1)])));
        let cycle = check(&follows, id(1), id(3)).unwrap_err();
        assert_eq!(cycle, Cycle(vec![id(1), id(3), id(2)]));
        assert_eq!(cycle.describe(|r| format!("r{}", r.0.as_u128())), "r1 → r3 → r2 → r1");
    }

    #[test]
    fn a_circle_elsewhere_does_not_hang_the_walk() {
        let follows = HashMap::from([(id(2), id(3)), (id(3), id(2))]);
        assert_eq!(check(&follows, id(1), id(2)), Ok(()));
    }
}
