//! What is copied where, and what is promised.

use std::time::Duration;

/// What the target's registry holds before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// Another image, in the repository that is copied to.
    Holds(&'static str),
    /// The image itself, in the repository that is copied from: it is this registry's.
    Source,
}

/// One thing to copy.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) letter: char,
    pub(crate) what: &'static str,
    /// The image, by its repository at the source.
    pub(crate) image: &'static str,
    pub(crate) before: Before,
}

/// All of them.
pub(crate) const CASES: [Case; 6] = [
    Case {
        letter: 'a',
        what: "index of 2 platforms × 5 layers of 20 MiB, with 2 attestation manifests; 3 referrers and a cosign tag hang on it",
        image: "bench/index",
        before: Before::Nothing,
    },
    Case {
        letter: 'b',
        what: "60 layers of 256 KiB",
        image: "bench/layers",
        before: Before::Nothing,
    },
    Case {
        letter: 'c',
        what: "one layer of 500 MiB",
        image: "bench/large",
        before: Before::Nothing,
    },
    Case {
        letter: 'd',
        what: "10 layers of 10 MiB, 8 of which an image at the target has",
        image: "bench/next",
        before: Before::Holds("bench/last"),
    },
    Case {
        letter: 'e',
        what: "the image of a, from one repository of a registry to another",
        image: "bench/index",
        before: Before::Source,
    },
    Case {
        letter: 'f',
        what: "the image of a with all that hangs on it, which is there already: nothing to do",
        image: "bench/index",
        before: Before::Holds("bench/index"),
    },
];

/// How far away the registries are.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// Each way.
    pub(crate) delay: Option<Duration>,
}

/// Both.
pub(crate) const SERIES: [Series; 2] = [
    Series {
        name: "near",
        delay: None,
    },
    Series {
        name: "far",
        delay: Some(Duration::from_millis(10)),
    },
];

impl Case {
    /// What Waybill's median divided by the best tool's may be.
    pub(crate) fn target(&self, series: &Series) -> f64 {
        match (self.letter, series.delay) {
            ('d' | 'f', _) | ('b', Some(_)) => 0.7,
            _ => 1.0,
        }
    }
}
