//! Nothing is missing in the table: it is held against the use cases, the server functions, the schema of GraphQL and the routes, as the server
//! has them.

use super::{
    TABLE,
    doors::{
        Door::{Graphql, Rest, Ui},
        Who, send,
    },
    letters,
};
use crate::{
    rest::{everything, state},
    support::Bench,
};
use axum::body::to_bytes;
use domain::rights::Role;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use server::web::{leptos::paths, router};
use std::{collections::BTreeSet, fmt::Display, fs, path::Path};

/// The use cases, as they are written down.
const BACKEND: &str = include_str!("../../../../app/contract/src/backend.rs");

/// Routes that ask nobody who they are, or only a secret of their own; and why that is right.
#[rustfmt::skip]
const OPEN: &[(&str, &str)] = &[
    ("POST /api/ui/{*function}", "the server functions: each has lines of its own"),
    ("POST /api/graphql", "the fields of the schema: each has lines of its own"),
    ("POST /api/v1/hooks/registry/{workspace}", "registries prove themselves with the secret of the configuration"),
    ("POST /api/v1/hooks/git/{workspace}", "Git hosts sign with the secret of the configuration"),
    ("POST /sign-out", "ends one's own session: the use case sign_out, as a button without a script"),
    ("GET /sign-in/sso", "to begin to sign in is for everybody"),
    ("GET /sign-in/sso/callback", "the provider says who it is, and the session that it is awaited"),
    ("POST /theme", "a cookie of the reader's own browser"),
    ("GET /pkg/{version}/{file}", "what every browser downloads"),
    ("GET /favicon.ico", "what every browser downloads"),
    ("GET /.well-known/waybill/cosign.pub", "the public half of a key is for everybody who verifies"),
    ("GET /.well-known/waybill/keys/{file}", "the same, of keys that signed before, too"),
    ("GET /healthz", "tells nothing but that it lives"),
    ("GET /readyz", "tells nothing but whether it can serve, and what is wrong with the database"),
    ("GET /metrics", "numbers without names: docs/operations.md says to keep them inside"),
];

/// What isn't in one and is in the other.
fn compare(what: &str, are: &BTreeSet<String>, in_table: &BTreeSet<String>) {
    let missing: Vec<_> = are.difference(in_table).collect();
    assert_eq!(missing, [""; 0], "{what} without a line: say who may, in TABLE");
    let gone: Vec<_> = in_table.difference(are).collect();
    assert_eq!(gone, [""; 0], "{what} that are there no more");
}

fn set<T: Display>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

#[test]
fn every_use_case_of_the_pages_is_in_the_table() {
    let names = BACKEND.split("async fn ").skip(1);
    let use_cases = set(names.filter_map(|rest| rest.split('(').next()));
    assert!(use_cases.len() > 15, "the traits could not be read");
    let from_pages = TABLE.iter().filter(|(.., door)| matches!(door, Ui(..)));
    compare("use cases", &use_cases, &set(from_pages.map(|(_, name, _)| name)));
}

/// Where everybody is refused, it could be for any reason.
#[test]
fn somebody_may_do_each_use_case() {
    let some = TABLE
        .iter()
        .filter(|(line, ..)| letters(line).iter().any(|l| matches!(l, '-' | '+')));
    let all = set(TABLE.iter().map(|(_, name, _)| name));
    compare(
        "use cases that nobody may do",
        &all,
        &set(some.map(|(_, name, _)| name)),
    );
}

#[test]
fn every_server_function_is_in_the_table() {
    let functions = leptos::server_fn::axum::server_fn_paths();
    let functions = set(functions.map(|(path, _)| path.trim_start_matches("/api/ui/").to_owned()));
    let in_table = TABLE.iter().filter_map(|(_, name, door)| match door {
        Ui(function, _) => {
            assert_eq!(name, function, "a server function is called like its use case");
            Some(function)
        }
        _ => None,
    });
    compare("server functions", &functions, &set(in_table));
}

#[tokio::test]
async fn every_field_that_graphql_offers_is_in_the_table() {
    let bench = Bench::new().await;
    let (_, token) = bench.program("demo", "reader", Role::Viewer).await;
    let query =
        "{ __schema { queryType { fields { name } } mutationType { fields { name } } subscriptionType { name } } }";
    let who = Who::Program(token.expose_secret().to_owned());
    let answer = send(&everything(&bench), Graphql(query).request(&str::to_owned), &who).await;
    let answer = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let schema = &answer["data"]["__schema"];
    let fields = |kind: &str| {
        let fields = schema[kind]["fields"].as_array().unwrap();
        set(fields.iter().map(|field| field["name"].as_str().unwrap()))
    };
    let in_table = |begins: &str| {
        set(TABLE.iter().filter_map(|(.., door)| match door {
            Graphql(query) => query.strip_prefix(begins)?.split(|c: char| !c.is_alphanumeric()).next(),
            _ => None,
        }))
    };
    compare("queries", &fields("queryType"), &in_table("{ "));
    compare("mutations", &fields("mutationType"), &in_table("mutation { "));
    assert_eq!(schema["subscriptionType"], Value::Null, "subscriptions need lines, too");
}

#[tokio::test]
async fn every_route_is_in_the_table_or_open_for_a_reason() {
    let bench = Bench::new().await;
    let routes = router::routes(state(&bench));
    let routes = set(routes
        .list()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path)));
    let in_table = TABLE.iter().filter_map(|(.., door)| match door {
        Rest(route, _) => Some(route.split('?').next().unwrap_or_default()),
        _ => None,
    });
    let open = OPEN.iter().map(|(route, _)| *route);
    // Pages draw what the use cases answer, and hand forms to them: they have no rights of their own.
    let pages = paths()
        .iter()
        .flat_map(|path| [format!("GET {path}"), format!("POST {path}")]);
    let mut known = set(in_table.chain(open));
    known.extend(pages);
    compare("routes", &routes, &known);
}

/// A route that the list doesn't know would need no line.
#[test]
fn routes_are_made_in_one_place() {
    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if !path.ends_with("web/routes.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let makes = ["Router::new", ".route(", ".route_service(", ".nest("];
                let made = makes.iter().filter(|makes| text.contains(*makes));
                found.extend(made.map(|makes| format!("{makes} in {}", path.display())));
            }
        }
    }
    let mut found = Vec::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert_eq!(found, [""; 0], "take web/routes.rs");
}
