//! Who may follow whom, and where to: no resource may end up following itself, and none goes back by itself.

use crate::{
    artifact::ExactImage,
    id::ResourceId,
    resource::{Binding, Resource},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The place of an artifact among those of its repository.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age {
    /// How new it is: when it was built, else when it was first seen. `None` while its registry has said nothing about it.
    pub rank: Option<Timestamp>,
    /// Its place in the order in which artifacts became known.
    pub arrived: i64,
}

/// Where an image leads that is offered to a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// To a newer artifact, or to the first one.
    Newer,
    /// Nowhere: it is the same.
    Same,
    /// Back to an older artifact.
    Older,
    /// Nobody can say: it is of another repository, or nothing is known about it.
    Unknown,
}

impl Course {
    /// Where `offered` leads a resource that runs `runs`, given the ages of both as far as they are known.
    ///
    /// What is offered must be known to be newer. What runs may be gone from its registry long since: then the order counts in which
    /// both became known.
    #[must_use]
    pub fn of(runs: Option<(&ExactImage, Option<Age>)>, offered: &ExactImage, age: Option<Age>) -> Self {
        let Some((runs, runs_age)) = runs else {
            return Self::Newer;
        };
        if runs.repository != offered.repository {
            return Self::Unknown;
        }
        if runs.digest == offered.digest {
            return Self::Same;
        }
        let (Some(old), Some(new)) = (runs_age, age) else {
            return Self::Unknown;
        };
        let is_newer = match (old.rank, new.rank) {
            (_, None) => return Self::Unknown,
            (Some(was), Some(is)) => (is, new.arrived) > (was, old.arrived),
            (None, Some(_)) => new.arrived > old.arrived,
        };
        if is_newer { Self::Newer } else { Self::Older }
    }
}

/// What becomes of a follower whose source goes to another image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes along by itself.
    Goes,
    /// It runs that image already.
    HasIt,
    /// It stays: what it runs is newer.
    IsAhead,
    /// It stays: nobody can say which of the two is newer.
    CannotTell,
    /// It stays: the image has no platform of its cluster.
    LacksPlatform,
    /// It stays: somebody put a hold on it.
    IsHeld,
    /// It stays: it is pinned.
    IsPinned,
}

impl Fate {
    /// What becomes of `follower`, given where the image leads it, and whether it has a platform of the follower's cluster.
    #[must_use]
    pub fn of(follower: &Resource, course: Course, runs_there: bool) -> Self {
        match (course, &follower.binding) {
            (Course::Same, _) => Self::HasIt,
            (_, Binding::Pin(_)) => Self::IsPinned,
            (_, Binding::TrackLatest) if follower.hold.is_some() => Self::IsHeld,
            (Course::Newer, _) if !runs_there => Self::LacksPlatform,
            (Course::Newer, _) => Self::Goes,
            (Course::Older, _) => Self::IsAhead,
            (Course::Unknown, _) => Self::CannotTell,
        }
    }

    /// A sentence about the follower at `place`, `production/api`, whose source goes to `image`.
    #[must_use]
    pub fn words(self, place: &str, follower: &Resource, image: &ExactImage) -> String {
        let image = image.short_label();
        let stays = match &follower.desired {
            Some(runs) => format!("{place} stays on {}", runs.short_label()),
            None => format!("{place} stays as it is"),
        };
        match self {
            Self::Goes => format!("{place} follows to {image} automatically."),
            Self::HasIt => format!("{place} has {image} already."),
            Self::IsAhead => format!("{stays}, which is newer. It will be ahead of its source."),
            Self::CannotTell => format!("{stays}: {image} is not known to be newer."),
            Self::LacksPlatform => format!("{stays}: {image} has no platform of its cluster."),
            Self::IsHeld => format!("{stays}: it is on hold."),
            Self::IsPinned => format!("{stays}: it is pinned."),
        }
    }
}

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
    use crate::{
        id::EnvironmentId,
        promotion::Actor,
        resource::{Hold, HoldCause, Kind, Runtime, Source},
    };
    use uuid::Uuid;

    fn id(n: u128) -> ResourceId {
        ResourceId(Uuid::from_u128(n))
    }

    fn image(repository: &str, hex: &str) -> ExactImage {
        ExactImage {
            repository: repository.parse().unwrap(),
            tag: None,
            digest: format!("sha256:{}", hex.repeat(64)).parse().unwrap(),
        }
    }

    #[test]
    fn only_what_is_known_to_be_newer_is_newer() {
        let age = |rank: Option<i64>, arrived| {
            Some(Age {
                rank: rank.map(Timestamp),
                arrived,
            })
        };
        let (a, b) = (image("r.example/api", "a"), image("r.example/api", "b"));
        let elsewhere = image("r.example/web", "b");
        for (old, offered, new, course) in [
            (age(Some(5), 1), &b, age(Some(6), 2), Course::Newer),
            // Heard of last, and built first.
            (age(Some(5), 1), &b, age(Some(4), 2), Course::Older),
            // Built at the same moment: ties go by order of arrival.
            (age(Some(5), 1), &b, age(Some(5), 2), Course::Newer),
            (age(Some(5), 2), &b, age(Some(5), 1), Course::Older),
            // Of the same age in every way: nothing says that it is newer.
            (age(Some(5), 1), &b, age(Some(5), 1), Course::Older),
            (age(None, 2), &b, age(Some(6), 2), Course::Older),
            (age(Some(5), 1), &a, age(Some(5), 1), Course::Same),
            (age(Some(5), 1), &elsewhere, age(Some(6), 2), Course::Unknown),
            // Nothing is known of what is offered.
            (age(Some(5), 1), &b, age(None, 2), Course::Unknown),
            (age(None, 1), &b, None, Course::Unknown),
            (None, &b, age(Some(6), 2), Course::Unknown),
            // What runs is gone from the registry.
            (age(None, 1), &b, age(Some(6), 2), Course::Newer),
            (age(None, 3), &b, age(Some(6), 2), Course::Older),
        ] {
            assert_eq!(Course::of(Some((&a, old)), offered, new), course, "{old:?} {new:?}");
        }
        assert_eq!(Course::of(None, &b, None), Course::Newer, "nothing runs yet");
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

    fn follower() -> Resource {
        Resource {
            id: id(1),
            environment: EnvironmentId(Uuid::from_u128(2)),
            name: "api".parse().unwrap(),
            key: "api".parse().unwrap(),
            kind: Kind::Deployment,
            source: Source::Promote { from: id(3) },
            binding: Binding::TrackLatest,
            hold: None,
            runtime: Runtime::default(),
            desired: Some(image("r.example/api", "a")),
            desired_at: None,
            outside: None,
            unclear: None,
            live: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn only_what_is_free_goes_along_and_only_to_what_is_newer_and_can_run() {
        let free = follower();
        let held = Resource {
            hold: Some(Hold {
                cause: HoldCause::RolledBack,
                by: Actor::Waybill,
                at: Timestamp(0),
                outside: None,
                renamed: None,
            }),
            ..follower()
        };
        let pinned = Resource {
            binding: Binding::Pin(image("r.example/api", "a").digest),
            ..follower()
        };
        let pinned_and_held = Resource {
            hold: held.hold.clone(),
            ..pinned.clone()
        };
        for (follower, course, runs_there, fate) in [
            (&free, Course::Newer, true, Fate::Goes),
            (&free, Course::Newer, false, Fate::LacksPlatform),
            (&free, Course::Same, false, Fate::HasIt),
            (&free, Course::Older, true, Fate::IsAhead),
            (&free, Course::Unknown, true, Fate::CannotTell),
            (&held, Course::Newer, true, Fate::IsHeld),
            (&held, Course::Newer, false, Fate::IsHeld),
            (&held, Course::Same, true, Fate::HasIt),
            (&held, Course::Older, true, Fate::IsHeld),
            (&pinned, Course::Newer, true, Fate::IsPinned),
            (&pinned, Course::Same, true, Fate::HasIt),
            (&pinned, Course::Unknown, true, Fate::IsPinned),
            (&pinned_and_held, Course::Newer, true, Fate::IsPinned),
        ] {
            assert_eq!(Fate::of(follower, course, runs_there), fate, "{course:?} {runs_there}");
        }
    }

    #[test]
    fn what_becomes_of_a_follower_is_said_in_a_sentence() {
        let (offered, place) = (image("r.example/api", "b"), "production/api");
        let said = |fate: Fate| fate.words(place, &follower(), &offered);
        let runs = image("r.example/api", "a");
        let (new, old) = (offered.short_label(), runs.short_label());
        assert_eq!(said(Fate::Goes), format!("{place} follows to {new} automatically."));
        assert_eq!(said(Fate::HasIt), format!("{place} has {new} already."));
        for (fate, why) in [
            (Fate::IsAhead, ", which is newer"),
            (Fate::CannotTell, "is not known to be newer"),
            (Fate::LacksPlatform, "has no platform of its cluster"),
            (Fate::IsHeld, "it is on hold"),
            (Fate::IsPinned, "it is pinned"),
        ] {
            let words = said(fate);
            assert!(
                words.starts_with(&format!("{place} stays on {old}")) && words.contains(why),
                "{words}"
            );
        }
        let nothing = Resource {
            desired: None,
            ..follower()
        };
        assert!(
            Fate::IsHeld
                .words(place, &nothing, &offered)
                .starts_with("production/api stays as it is")
        );
    }
}
