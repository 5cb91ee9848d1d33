//! The rooms of the server, and which way they look: a circle between two of them, an import from a room above, or a file that has grown past
//! what one reads in one go fails here. `make lint` runs it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects that way"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The rooms from the ground up: each may use those before it, and none of those after it.
const ROOMS: [&str; 19] = [
    // Of no noun: what any room may need.
    "nesting",
    "clock",
    "secrets",
    "calendar",
    "gather",
    "back_off",
    "signature",
    "telemetry",
    // The outside world, how the server is set up, what it keeps.
    "adapters",
    "config",
    "data_dir",
    "store",
    // The use cases, who calls them, and what puts all of it together.
    "service",
    "events",
    "worker",
    "web",
    "startup",
    "lib",
    "cli",
];

/// Lines that a file may have.
const MOST_LINES: usize = 600;

/// Files that have more, why, and how many they may have: none grows on.
const LONG: [(&str, usize, &str); 16] = [
    (
        "app/domain/src/draft.rs",
        870,
        "to be split: the form's draft and its checks",
    ),
    (
        "app/domain/src/plan/decision.rs",
        640,
        "one decision, read from top to bottom",
    ),
    ("app/domain/src/plan/tests.rs", 760, "the stories of one decision"),
    (
        "app/domain/src/promotion.rs",
        760,
        "to be split: the promotion and its states",
    ),
    (
        "server/src/adapters/argocd/client.rs",
        690,
        "one client; a fifth of it is tests",
    ),
    (
        "server/src/adapters/git/mirror.rs",
        780,
        "to be split: the mirror and its races",
    ),
    (
        "server/src/adapters/git/transport.rs",
        1020,
        "to be split: the program, its answers, its checks",
    ),
    (
        "server/src/service/apply/check.rs",
        850,
        "to be split by section of the document",
    ),
    (
        "server/src/service/apply/document.rs",
        640,
        "one document, as people write it",
    ),
    (
        "server/src/service/apply/plan.rs",
        960,
        "to be split by section of the document",
    ),
    (
        "server/src/service/artifact.rs",
        690,
        "to be split: what is seen and what counts",
    ),
    (
        "server/src/store/people.rs",
        660,
        "one noun with its statements and rows",
    ),
    ("server/src/store/rows.rs", 660, "to be split by noun"),
    ("server/src/store/tx.rs", 920, "to be split by noun"),
    ("server/src/web/graphql/objects.rs", 630, "one object after another"),
    (
        "server/src/web/leptos.rs",
        760,
        "to be split by noun, with the trait that it implements",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source below a folder, with its path from the project's root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found.sort();
    found
}

/// The rooms that a source names: what follows `crate::`, alone or as each part of a list in braces.
fn named(text: &str) -> BTreeSet<String> {
    let plain: Vec<&str> = (text.lines())
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let plain = plain.join("\n");
    let word = |text: &str| {
        let text = text.trim_start();
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut rooms = BTreeSet::new();
    for (at, path) in plain.match_indices("crate::") {
        let rest = &plain[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let (mut depth, mut begins) = (1, true);
        for (at, c) in list.char_indices() {
            if begins && !c.is_whitespace() {
                rooms.insert(word(&list[at..]));
                begins = false;
            }
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms.remove("");
    rooms
}

/// The room of a source: the first part of its path below `src`.
fn room(path: &str) -> &str {
    let below = path.strip_prefix("server/src/").unwrap();
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn rooms_are_found_in_imports_and_in_paths() {
    let text = "use crate::{\n    config::{Limits, Network},\n    telemetry::{self, Closed},\n};\nfn f(x: crate::store::Tx) {} // crate::web\n";
    let found: Vec<String> = named(text).into_iter().collect();
    assert_eq!(found, ["config", "store", "telemetry"]);
    assert_eq!(room("server/src/web/mod.rs"), "web");
    assert_eq!(room("server/src/config.rs"), "config");
}

#[test]
fn no_room_looks_up() {
    let mut wrong = Vec::new();
    for (path, text) in sources("server/src") {
        let own = room(&path);
        // The program itself only starts the rest.
        if own == "main" {
            continue;
        }
        let place = |room: &str| ROOMS.iter().position(|one| *one == room);
        let Some(here) = place(own) else {
            panic!("{path} is in no room that ROOMS names: say where {own} stands");
        };
        for other in named(&text) {
            if place(&other).is_some_and(|there| there > here) {
                wrong.push(format!("{path} uses {other}, which stands above {own}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut wrong = Vec::new();
    for folder in ["app/src", "app/domain/src", "server/src", "frontend/src"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            let long = LONG.iter().find(|(known, _, _)| *known == path);
            let most = long.map_or(MOST_LINES, |(_, most, _)| *most);
            if lines > most {
                wrong.push(format!(
                    "{path} has {lines} lines, and may have {most}: split it by its subjects"
                ));
            }
            if long.is_some() && lines <= MOST_LINES {
                wrong.push(format!("{path} has {lines} lines: take it out of LONG"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
