//! The rooms of the server, and which way they look: a circle between two of them, an import from a room above, or a file that has grown past
//! what one reads in one go fails here. `make lint` runs it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects that way"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// The rooms from the ground up: each may use those before it, and none of those after it.
const ROOMS: [&str; 33] = [
    // Of no noun: what any room may need.
    "nesting",
    "secrets",
    "calendar",
    "gather",
    "back_off",
    "signature",
    // What is asked of the outside world, and the clock.
    "ports",
    "adapters::system",
    "telemetry",
    // The outside world, how the server is set up, what it keeps.
    "adapters",
    "config",
    "data_dir",
    "store",
    // The use cases, from what all of them work with to what puts them together.
    "service::context",
    "service::reach",
    "service::access",
    "service::sources",
    "service::gates",
    "service::statements",
    "service::queue",
    "service::removal",
    "service::observe",
    "service::promotion",
    "service::views",
    "service::configure",
    "service::notification",
    // Their door, who calls them, and what starts it all.
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
const LONG: &[(&str, usize, &str)] = &[
    ("app/domain/src/plan/tests.rs", 760, "the stories of one decision"),
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
        "server/src/service/configure/apply/check.rs",
        755,
        "to be split by section of the document",
    ),
    (
        "server/src/service/configure/apply/plan.rs",
        845,
        "to be split by section of the document",
    ),
    ("server/src/web/graphql/objects.rs", 630, "one object after another"),
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

/// The parts of a list in braces, from after the first brace to the one that ends it.
fn parts(list: &str) -> Vec<&str> {
    let (mut found, mut depth, mut begins) = (Vec::new(), 1, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            // The last comma of a list has nothing behind it.
            found.extend(Some(list[begins..at].trim()).filter(|part| !part.is_empty()));
            begins = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// The first words of what a path leads to, `most` at the most: `a::{b::c, d}` gives `a::b` and `a::d`.
fn leads_to(path: &str, most: usize) -> Vec<String> {
    let path = path.trim_start();
    if let Some(list) = path.strip_prefix('{') {
        return parts(list).into_iter().flat_map(|part| leads_to(part, most)).collect();
    }
    let end = path
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(path.len());
    let (word, rest) = path.split_at(end);
    let further = match rest.strip_prefix("::") {
        Some(rest) if most > 1 => leads_to(rest, most - 1),
        _ => Vec::new(),
    };
    if further.is_empty() {
        return Vec::from([word.to_owned()]);
    }
    further.iter().map(|next| format!("{word}::{next}")).collect()
}

/// The rooms that a source names after `crate::`.
fn named(text: &str) -> BTreeSet<&'static str> {
    let plain: Vec<&str> = (text.lines())
        // An address in a text is no comment.
        .map(|line| line.split(" //").next().unwrap_or_default())
        .filter(|line| !line.starts_with("//"))
        .collect();
    let plain = plain.join("\n");
    let paths = plain
        .match_indices("crate::")
        .flat_map(|(at, path)| leads_to(&plain[at + path.len()..], 2));
    // What has no room of its own is the whole program's.
    paths.map(|path| room_of(&path).unwrap_or("lib")).collect()
}

/// How far `super::` leads up from a source, at the most.
fn leads_up(text: &str) -> usize {
    let chains = text.match_indices("super::").map(|(at, _)| {
        let rest = &text[at..];
        (0..)
            .take_while(|n| rest[n * "super::".len()..].starts_with("super::"))
            .count()
    });
    chains.max().unwrap_or_default()
}

#[test]
fn nobody_leaves_a_room_by_super() {
    let mut wrong = Vec::new();
    for (path, text) in sources("server/src") {
        let Some(own) = room(&path) else { continue };
        let code = text.split("#[cfg(test)]").next().unwrap();
        let below = path
            .strip_prefix("server/src/")
            .unwrap()
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        let depth = below.split('/').count() - own.split("::").count();
        if leads_up(code) > depth {
            wrong.push(format!("{path} leads out of {own}: name the other room after crate::"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_door_of_a_room_is_its_only_one() {
    for (path, text) in sources("server/src/service") {
        if path.ends_with("/mod.rs") && path != "server/src/service/mod.rs" {
            let open = text
                .lines()
                .find(|line| line.starts_with("pub") && line.contains(" mod "));
            assert_eq!(open, None, "{path}");
        }
    }
}

/// The room that something with this path stands in: the one with the longest name that it begins with.
fn room_of(path: &str) -> Option<&'static str> {
    let stands_in = |room: &&&str| path == **room || path.starts_with(&format!("{room}::"));
    ROOMS.iter().filter(stands_in).max_by_key(|room| room.len()).copied()
}

/// The room of a source.
fn room(path: &str) -> Option<&'static str> {
    let below = path.strip_prefix("server/src/").unwrap();
    let below = below.trim_end_matches(".rs").trim_end_matches("/mod");
    room_of(&below.replace('/', "::"))
}

/// Which room uses which, itself left out.
fn arrows() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut arrows: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (path, text) in sources("server/src") {
        // The program itself only starts the rest.
        if path == "server/src/main.rs" {
            continue;
        }
        let Some(own) = room(&path) else {
            panic!("{path} is in no room that ROOMS names: say where it stands");
        };
        // A door names what it hands on relatively.
        let handed_on = text.lines().filter_map(|line| line.strip_prefix("pub use "));
        let parent = own.split("::").next().filter(|_| path.ends_with("service/mod.rs"));
        let handed_on = handed_on
            .flat_map(|path| leads_to(path, 1))
            .filter_map(|child| match parent {
                Some(parent) => room_of(&format!("{parent}::{child}")),
                None if own == "lib" => room_of(&child),
                None => None,
            });
        let others = named(&text).into_iter().chain(handed_on).filter(|other| *other != own);
        arrows.entry(own).or_default().extend(others);
    }
    arrows
}

fn place(room: &str) -> usize {
    ROOMS.iter().position(|one| *one == room).unwrap()
}

#[test]
fn rooms_are_found_in_imports_and_in_paths() {
    let text = "use crate::{\n    config::{Limits, Network},\n    service::{Caller, gates::{self, Gate}},\n};\nfn f(x: crate::store::Tx) {} // crate::web\n";
    let found: Vec<&str> = named(text).into_iter().collect();
    assert_eq!(found, ["config", "service", "service::gates", "store"]);
    assert_eq!(room("server/src/web/mod.rs"), Some("web"));
    assert_eq!(room("server/src/config.rs"), Some("config"));
    assert_eq!(room("server/src/service/gates/mod.rs"), Some("service::gates"));
    assert_eq!(room("server/src/service/mod.rs"), Some("service"));
}

#[test]
fn no_room_looks_up() {
    let mut wrong = Vec::new();
    for (room, others) in arrows() {
        let above = others.into_iter().filter(|other| place(other) > place(room));
        wrong.extend(above.map(|other| format!("{room} uses {other}, which stands above it")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The picture of the rooms, as `docs/architecture.md` shows it: an arrow where one room uses another and doesn't reach it through a third.
fn picture() -> String {
    let arrows = arrows();
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for room in ROOMS {
        let own = arrows.get(room).cloned().unwrap_or_default();
        let further: Vec<&str> = own.iter().flat_map(|other| reached[other].clone()).collect();
        reached.insert(room, own.into_iter().chain(further).collect());
    }
    let id = |room: &str| room.replace("::", "_");
    let mut lines = Vec::from(["flowchart TD".to_owned()]);
    for room in ROOMS.iter().rev() {
        lines.push(format!("    {}[{room}]", id(room)));
    }
    for room in ROOMS.iter().rev() {
        let own = arrows.get(room).cloned().unwrap_or_default();
        let through_another = |other: &&str| {
            own.iter()
                .any(|third| third != other && reached[third].contains(*other))
        };
        for other in own.iter().filter(|other| !through_another(other)) {
            lines.push(format!("    {} --> {}", id(room), id(other)));
        }
    }
    lines.join("\n")
}

/// `make rooms` draws it anew.
#[test]
fn the_picture_of_the_rooms_is_true() {
    let file = root().join("docs/architecture.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("```mermaid\n").unwrap();
    let (drawn, after) = rest.split_once("\n```").unwrap();
    let now = picture();
    if env::var_os("DRAW_ROOMS").is_some() {
        fs::write(&file, format!("{before}```mermaid\n{now}\n```{after}")).unwrap();
        return;
    }
    assert_eq!(drawn, now, "`make rooms` draws the rooms as they are");
}

/// The server renders the app in one place; everything else that both sides know stands in `contract`.
#[test]
fn only_what_renders_it_knows_the_app() {
    let sources = sources("server/src");
    let is_named = |text: &str| {
        text.match_indices("app::").any(|(at, _)| {
            let before = text[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
        })
    };
    let names_it = sources.iter().filter(|(_, text)| is_named(text));
    let names: Vec<&str> = names_it.map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["server/src/web/leptos.rs"]);
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut wrong = Vec::new();
    for folder in [
        "app/src",
        "app/contract/src",
        "app/domain/src",
        "server/src",
        "frontend/src",
    ] {
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
