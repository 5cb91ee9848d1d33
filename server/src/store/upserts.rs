//! A column that is added to an `INSERT … DO UPDATE SET` and forgotten in its second half is written once and never changed: saving it again
//! does nothing, and nobody is told. So each statement of this kind is read here, and must name every column in both halves.

use std::{fs, path::Path};

/// What is inserted and then stays as it is, by table.
const STAYS: &[(&str, &[&str])] = &[
    ("clusters", &["workspace_id", "name"]),
    ("registries", &["workspace_id", "name"]),
    ("source_hosts", &["workspace_id", "host", "added_by", "added_at"]),
    // A copy keeps who wanted it when, and the others are what it is found by.
    (
        "copies",
        &["id", "workspace_id", "target", "digest", "attachments", "created_at"],
    ),
    ("projects", &["workspace_id", "name"]),
    ("environments", &["project_id", "name"]),
];

/// The statements of the store, each on one line.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") || path.ends_with("upserts.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for text in source.split("INSERT INTO ").skip(1) {
            let text = text.split("\";").next().unwrap_or_default();
            if text.contains("DO UPDATE SET") {
                found.push(
                    text.replace("\\\n", " ")
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
        }
    }
    found
}

/// The names between the first brackets.
fn bracketed(text: &str) -> Vec<&str> {
    let (_, rest) = text.split_once('(').unwrap();
    let (names, _) = rest.split_once(')').unwrap();
    names.split(',').map(str::trim).collect()
}

/// The columns of a statement that nothing changes, though they are inserted.
fn forgotten(statement: &str) -> Vec<&str> {
    let table = statement.split([' ', '(']).next().unwrap();
    let stays = STAYS
        .iter()
        .find(|(known, _)| *known == table)
        .map_or(&[][..], |(_, stays)| stays);
    let (_, conflict) = statement.split_once("ON CONFLICT ").unwrap();
    let (_, set) = conflict.split_once("DO UPDATE SET ").unwrap();
    let keys = bracketed(conflict);
    let is_set = |column: &str| {
        set.match_indices(&format!("{column} = "))
            .any(|(at, _)| at == 0 || set[..at].ends_with(", "))
    };
    let columns = bracketed(statement).into_iter();
    columns
        .filter(|column| !keys.contains(column) && !stays.contains(column) && !is_set(column))
        .collect()
}

#[test]
fn what_is_inserted_is_changed_too() {
    let statements = statements();
    assert!(statements.len() >= 15, "hardly any was found: {statements:?}");
    for statement in &statements {
        assert!(
            forgotten(statement).is_empty(),
            "{:?} of {statement}",
            forgotten(statement)
        );
    }
}

#[test]
fn a_forgotten_column_is_found() {
    let statement = "clusters (id, workspace_id, name, argocd, registry) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (id) DO UPDATE SET argocd = excluded.argocd";
    assert_eq!(forgotten(statement), ["registry"]);
    let like_another =
        "tags (id, tag, last_tag) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET last_tag = excluded.last_tag";
    assert_eq!(forgotten(like_another), ["tag"]);
}
