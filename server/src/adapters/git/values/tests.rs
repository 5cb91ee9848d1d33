//! Edits of values files, case by case: what goes in, what comes out, byte for byte.

use super::{Outline, ValuesError, edit, edit_with, services};
use crate::ports::git::{PlaceEdit, ServicePlace};
use domain::{artifact::ExactImage, resource::Runtime, resource::Size};

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "sha256:abcdef0222222222222222222222222222222222222222222222222222222222";

fn image(tag: Option<&str>) -> ExactImage {
    ExactImage {
        repository: "r.example/api".parse().unwrap(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        digest: NEW.parse().unwrap(),
    }
}

fn with(mut edit: PlaceEdit, change: impl Fn(&mut ServicePlace)) -> PlaceEdit {
    change(&mut edit.place);
    edit
}

fn request(prefix: &str, tag: Option<&str>, runtime: Option<Runtime>) -> PlaceEdit {
    PlaceEdit {
        place: ServicePlace {
            path: "values.yaml".to_owned(),
            prefix: prefix.to_owned(),
            service: "api".to_owned(),
        },
        image: image(tag),
        runtime,
        may_create: true,
    }
}

fn edited(text: &str, tag: &str) -> String {
    changed(text, &request("", Some(tag), None))
}

fn changed(text: &str, request: &PlaceEdit) -> String {
    let text = filled(text);
    let new = edit(text.as_bytes(), request).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let again = edit(&new, request).unwrap();
    assert_eq!(again, new, "the same edit twice");
    String::from_utf8(new).unwrap()
}

fn refused(text: &str) -> String {
    let ValuesError(reason) = edit(filled(text).as_bytes(), &request("", Some("v2"), None)).unwrap_err();
    reason
}

fn filled(text: &str) -> String {
    text.replace("OLD", OLD).replace("NEW", NEW)
}

/// One case: the file before, the file after an edit to tag `v2`.
fn becomes(before: &str, after: &str) {
    assert_eq!(edited(before, "v2"), filled(after));
}

#[test]
fn only_the_scalars_change() {
    becomes(
        "# top\nservices:\n  web: {}\n  api:   # the api\n    image:\n      # where\n      repository: r.example/api # kept\n      tag:   \"v1\"   # tag\n      pullPolicy: Always\n      digest: 'OLD'\n\n    port: 80\nother: [1,  2]\n",
        "# top\nservices:\n  web: {}\n  api:   # the api\n    image:\n      # where\n      repository: r.example/api # kept\n      tag:   \"v2\"   # tag\n      pullPolicy: Always\n      digest: 'NEW'\n\n    port: 80\nother: [1,  2]\n",
    );
    // CRLF, a byte order mark, no final newline, a quoted key, a tab, a tag, an anchor.
    becomes(
        "\u{feff}services:\r\n  \"api\":\r\n    image:\r\n      repository: r.example/api\r\n      tag:\t!!str v1\r\n      'digest': &d OLD",
        "\u{feff}services:\r\n  \"api\":\r\n    image:\r\n      repository: r.example/api\r\n      tag:\t!!str v2\r\n      'digest': &d NEW",
    );
    becomes(
        "---\nservices: {api: {image: {repository: r.example/api, tag: v1, digest: \"OLD\"}}, b: 1} # c\n...\n",
        "---\nservices: {api: {image: {repository: r.example/api, tag: v2, digest: \"NEW\"}}, b: 1} # c\n...\n",
    );
    becomes(
        "{\n  \"services\": {\n    \"api\": {\n      \"image\": {\n        \"repository\": \"r.example/api\",\n        \"tag\": \"v1\"\n      }\n    }\n  }\n}\n",
        "{\n  \"services\": {\n    \"api\": {\n      \"image\": {\n        \"repository\": \"r.example/api\",\n        \"tag\": \"v2\", \"digest\": \"NEW\"\n      }\n    }\n  }\n}\n",
    );
}

#[test]
fn a_tag_that_yaml_would_misread_is_quoted() {
    let file = |tag: &str| {
        filled(&format!(
            "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: {tag} # t\n      digest: NEW\n"
        ))
    };
    for tag in ["1.10", "1e3", "0123", "true", "null", "1234567", "2026-01-02"] {
        assert_eq!(edited(&file("v1"), tag), file(&format!("\"{tag}\"")));
        assert_eq!(edited(&file("'v1'"), tag), file(&format!("'{tag}'")));
        // Already there, but as a number: that is another value.
        assert_eq!(edited(&file(tag), tag), file(&format!("\"{tag}\"")));
    }
    assert_eq!(edited(&file("1.10"), "1.10-x"), file("1.10-x"));
}

#[test]
fn empty_values_are_filled_in_their_place() {
    becomes(
        "services:\n  api:\n    image:\n      repository: r.example/api\n      tag:   # none yet\n      digest: ~\n",
        "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: v2   # none yet\n      digest: NEW\n",
    );
    becomes(
        "services: {api: {image: {repository: r.example/api, tag: , digest}}}\n",
        "services: {api: {image: {repository: r.example/api, tag: v2 , digest: NEW}}}\n",
    );
}

#[test]
fn scalars_over_several_lines_become_one() {
    becomes(
        "services:\n  api:\n    image:\n      repository: |- # where\n        r.example/other\n\n      tag: >\n        v1\n\n      # digest\n      digest: \"sha256:\n        11\"\n",
        "services:\n  api:\n    image:\n      repository: \"r.example/api\" # where\n\n      tag: \"v2\"\n\n      # digest\n      digest: \"NEW\"\n",
    );
    becomes(
        "services:\r\n  api:\r\n    image:\r\n      repository: r.example/api\r\n      digest: NEW\r\n      tag: |\r\n        v1",
        "services:\r\n  api:\r\n    image:\r\n      repository: r.example/api\r\n      digest: NEW\r\n      tag: v2",
    );
}

#[test]
fn missing_keys_come_in_order_and_in_style() {
    becomes(
        "services:\n    api:\n        image:\n            tag: 'v1' # t\n            pullPolicy: Always\n        port: 80\n",
        "services:\n    api:\n        image:\n            repository: 'r.example/api'\n            tag: 'v2' # t\n            digest: 'NEW'\n            pullPolicy: Always\n        port: 80\n",
    );
    // A comment above a key stays with it.
    becomes(
        "services:\n  api:\n    image:\n      # what\n      digest: OLD\n",
        "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: v2\n      # what\n      digest: NEW\n",
    );
    becomes(
        "services:\n  api:\n    image:\n      pullPolicy: Always",
        "services:\n  api:\n    image:\n      pullPolicy: Always\n      repository: r.example/api\n      tag: v2\n      digest: NEW",
    );
    becomes(
        "services:\n  api:\n    # many\n    replicas: 2\n  web:\n    image: {tag: \"v1\"}\n",
        "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: \"v2\"\n      digest: NEW\n    # many\n    replicas: 2\n  web:\n    image: {tag: \"v1\"}\n",
    );
}

#[test]
fn missing_mappings_are_made() {
    let block = "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: v2\n      digest: NEW\n";
    for (before, after) in [
        ("", block.to_owned()),
        ("# c\n", format!("# c\n{block}")),
        ("# c", format!("# c\n{}", block.trim_end())),
        ("---\n", format!("---\n{block}")),
        ("{}\n", block.to_owned()),
        ("services:\n", block.to_owned()),
        ("services: {}\n", block.to_owned()),
        ("services: {} # none\n", block.replace("services:", "services: # none")),
        ("services: ~\n", block.to_owned()),
        ("services: null", block.trim_end().to_owned()),
        ("services:\n  # none\n", format!("{block}  # none\n")),
        ("services:\n  api:\n", block.to_owned()),
        ("services:\n  api: {}\n", block.to_owned()),
        ("services:\n  api:\n    image:\n", block.to_owned()),
        (
            "services:\n  api:\n    image: &i {}\n",
            block.replace("image:", "image: &i"),
        ),
        ("a: 1\n", format!("a: 1\n{block}")),
        (
            "a: 1\r\n\r\nb: 2\r\n",
            format!("a: 1\r\n\r\nb: 2\r\n\r\n{}", block.replace('\n', "\r\n")),
        ),
    ] {
        assert_eq!(edited(before, "v2"), filled(&after), "{before:?}");
    }
    becomes(
        "services:\n  web:\n    port: 1\n\n  job:\n    port: 2\n\nother: 1\n",
        "services:\n  web:\n    port: 1\n\n  job:\n    port: 2\n\n  api:\n    image:\n      repository: r.example/api\n      tag: v2\n      digest: NEW\n\nother: 1\n",
    );
    becomes(
        "services: {web: {port: 1}}\n",
        "services: {web: {port: 1}, api: {image: {repository: r.example/api, tag: v2, digest: NEW}}}\n",
    );
    let prefixed = request("lucity-app.x", Some("v2"), None);
    assert_eq!(
        changed("lucity-app:\n    a: 1\n", &prefixed),
        filled(
            "lucity-app:\n    a: 1\n    x:\n        services:\n            api:\n                image:\n                    repository: r.example/api\n                    tag: v2\n                    digest: NEW\n"
        ),
    );
}

#[test]
fn a_new_service_brings_its_configuration() {
    let runtime = Runtime {
        replicas: Some(2),
        ports: vec![8080, 9090],
        env: vec![
            ("LOG".to_owned(), "debug".to_owned()),
            ("WORKERS".to_owned(), "4".to_owned()),
            ("TEXT".to_owned(), "a: \"b\"\n# c".to_owned()),
            ("on".to_owned(), String::new()),
        ],
        ingress_host: Some("api.example.com".to_owned()),
        size: Some(Size::Small),
        health_path: Some("/healthz".to_owned()),
    };
    let with_runtime = request("", Some("v2"), Some(runtime));
    assert_eq!(
        changed("list:\n- 1\nservices:\n  web: {}\n", &with_runtime),
        filled(
            "list:\n- 1\nservices:\n  web: {}\n  api:\n    image:\n      repository: r.example/api\n      tag: v2\n      digest: NEW\n    replicas: 2\n    port: 8080\n    ports:\n    - 8080\n    - 9090\n    env:\n      LOG: debug\n      WORKERS: \"4\"\n      TEXT: \"a: \\\"b\\\"\\n# c\"\n      \"on\": \"\"\n    domains:\n    - api.example.com\n    size: small\n    healthPath: /healthz\n"
        ),
    );
    // What the file says already is left alone.
    let text = changed("services:\n  api:\n    port: 1\n    env: {A: b}\n", &with_runtime);
    assert!(
        text.contains("    port: 1\n    env: {A: b}\n    replicas: 2\n"),
        "{text}"
    );
    // In flow style all on one line.
    let text = changed("services: {web: {port: 1}}\n", &with_runtime);
    assert!(
        text.ends_with("domains: [api.example.com], size: small, healthPath: /healthz}}\n"),
        "{text}"
    );
}

#[test]
fn an_image_without_a_tag_does_not_keep_anothers() {
    let file = "services:\n  api:\n    image:\n      repository: r.example/api\n      tag: v1\n      digest: DIGEST\n";
    let bare = request("", None, None);
    let after = changed(&file.replace("DIGEST", OLD), &bare);
    assert_eq!(after, file.replace("DIGEST", NEW).replace("v1", "abcdef0"));
    let same = file.replace("DIGEST", NEW);
    assert_eq!(changed(&same, &bare), same);
    let after = changed("services:\n  api:\n", &bare);
    assert!(!after.contains("tag"), "{after}");
}

#[test]
fn borrowed_values_are_replaced_and_their_owners_left() {
    becomes(
        "v: &v v1\nservices:\n  api:\n    image: {repository: r.example/api, tag: *v, digest: NEW}\n  web:\n    image: {tag: *v}\n",
        "v: &v v1\nservices:\n  api:\n    image: {repository: r.example/api, tag: v2, digest: NEW}\n  web:\n    image: {tag: *v}\n",
    );
    // An anchor of its own may be used within the service.
    becomes(
        "services:\n  api:\n    image: {repository: r.example/api, tag: &v v1, digest: NEW}\n    env: {VERSION: *v}\n",
        "services:\n  api:\n    image: {repository: r.example/api, tag: &v v2, digest: NEW}\n    env: {VERSION: *v}\n",
    );
    // What a merge brings is overridden in place.
    becomes(
        "base: &b {pullPolicy: Always, tag: v0}\nservices:\n  api:\n    image:\n      <<: *b\n      repository: r.example/api\n      digest: NEW\n",
        "base: &b {pullPolicy: Always, tag: v0}\nservices:\n  api:\n    image:\n      <<: *b\n      repository: r.example/api\n      tag: v2\n      digest: NEW\n",
    );
}

#[test]
fn what_cannot_be_edited_safely_is_refused_with_the_way_out() {
    for (text, word) in [
        ("a: 1\n---\nb: 1\n", "several YAML documents"),
        ("services:\n\tapi: 1\n", "line 2 is not valid YAML"),
        ("services: [\n", "not valid YAML"),
        ("%!@#", "not valid YAML"),
        ("services:\n  api: {}\n  api: {}\n", "appears twice"),
        ("other: {a: 1, \"a\": 2}\n", "appears twice"),
        ("- a\n", "the file is no mapping"),
        ("services: text\n", "services is no mapping"),
        (
            "services:\n  api:\n    image: r.example/api:v1\n",
            "services.api.image is no mapping",
        ),
        ("x: &x {}\nservices:\n  api: *x\n", "services.api is an alias"),
        (
            "x: &x {image: {tag: v1}}\nservices:\n  api:\n    <<: *x\n",
            "comes from a merge",
        ),
        (
            "services:\n  api:\n    image: {repository: r.example/api, tag: [v1]}\n",
            "mapping or list",
        ),
        (
            "services:\n  api:\n    image: {repository: r.example/api, tag: !!int 1}\n",
            "has the tag",
        ),
        (
            "services:\n  api:\n    image: {repository: r.example/api, tag: &v v1, digest: NEW}\n  web:\n    image: {tag: *v}\n",
            "services.web would change too",
        ),
        (
            "services:\n  api: &a\n    image: {repository: r.example/api, tag: v1, digest: NEW}\n  web:\n    <<: *a\n",
            "services.web would change too",
        ),
        ("a: 1\rservices: 2\n", "carriage returns"),
        ("services:\n  api: *nope\n", "line 2"),
    ] {
        let reason = refused(text);
        assert!(reason.contains(word), "{text:?}: {reason}");
    }
    assert!(
        edit(b"\xff\xfe", &request("", None, None))
            .unwrap_err()
            .0
            .contains("UTF-8")
    );
}

#[test]
fn a_billion_laughs_do_not_hang() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    assert!(refused(&text).contains("aliases"));
    assert_eq!(services(text.as_bytes(), "").unwrap(), []);
}

#[test]
fn reading_is_tolerant() {
    let text = filled(
        "p:\n  base: &base {image: {repository: r.example/b, digest: OLD}}\n  services:\n    bare:\n    api:\n      image: {repository: r.example/api, tag: 1.10, digest: \"NEW\"}\n    odd: {image: {repository: UPPER, tag: 'not a tag', digest: short}}\n    text: {image: r.example/x}\n    merged: {<<: *base}\n",
    );
    let found = services(text.as_bytes(), "p").unwrap();
    let names: Vec<_> = found.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["bare", "api", "odd", "text", "merged"]);
    assert_eq!(found[0].image, Default::default());
    assert_eq!(found[1].raw_tag.as_deref(), Some("1.10"));
    assert_eq!(found[1].image.digest.as_ref().unwrap().as_str(), NEW);
    assert_eq!(found[2].raw_tag.as_deref(), Some("not a tag"));
    let odd = &found[2].image;
    assert_eq!((&odd.repository, &odd.tag, &odd.digest), (&None, &None, &None));
    let unclear: Vec<_> = found.iter().map(|service| service.image.unclear.as_deref()).collect();
    assert_eq!(
        unclear,
        [
            None,
            // The digest is the whole answer; the tag beside it is no name of it.
            None,
            Some(
                "line 7: the repository \"UPPER\" names no registry; write it in front, for example docker.io/library/nginx"
            ),
            Some("line 8: `image` is no mapping; write it as one, with `repository`, `tag` and `digest`"),
            None
        ]
    );
    assert_eq!(found[1].image.tag, None);
    assert_eq!(found[4].image.digest.as_ref().unwrap().as_str(), OLD);
    for (text, prefix) in [
        ("", ""),
        ("# c\n", "x"),
        ("services:\n", ""),
        ("services: []\n", ""),
        ("a: 1\n", "a.b"),
    ] {
        assert_eq!(services(text.as_bytes(), prefix).unwrap(), [], "{text:?}");
    }
    assert!(services(b"a: 1\n---\nb: 1\n", "").is_err());
}

/// A text nested 100,000 levels, or as many as fit into a file where each level indents the next, in every way to nest.
fn nested_texts() -> Vec<(&'static str, String)> {
    const MANY: usize = 100_000;
    let closed = |open: &str, close: &str| open.repeat(MANY) + "1" + &close.repeat(MANY);
    let indented = |line: &str| {
        (0..2_500)
            .map(|n| format!("{}{line}\n", " ".repeat(n)))
            .collect::<String>()
    };
    vec![
        ("lists", "- ".repeat(MANY) + "a\n"),
        ("flow lists", closed("[", "]")),
        ("flow mappings", closed("{a: ", "}")),
        ("flow mappings over lines", closed("{a:\n ", "}")),
        ("mixed flow", closed("[{a: ", "}]")),
        ("indented keys", indented("a:")),
        ("indented lists", indented("-")),
        ("keys", "? ".repeat(MANY) + "a\n"),
        ("lists that never end", "[".repeat(MANY)),
        ("mappings that never end", "{a: ".repeat(MANY)),
        ("anchors", closed("&a [", "]")),
        ("tags", closed("!!seq [", "]")),
        (
            "below a service",
            format!("services:\n  api:\n    env: {}\n", closed("[", "]")),
        ),
        (
            "half of it in each style",
            format!("{}{}\n", "- ".repeat(40), "[".repeat(40) + &"]".repeat(40)),
        ),
        ("300 lists", "- ".repeat(300) + "a\n"),
        ("400 flow mappings", "{a: ".repeat(400) + "1" + &"}".repeat(400)),
    ]
}

#[test]
fn what_is_nested_too_deeply_is_refused_with_its_line() {
    for (what, text) in nested_texts() {
        let reading = services(text.as_bytes(), "").unwrap_err().to_string();
        for said in [refused(&text), reading] {
            let is_said = said.starts_with("line ") && said.contains(" is nested too deeply (Waybill reads 64 levels)");
            assert!(is_said, "{what}: {said}");
        }
        let mut outline = Some(Outline::of(text.as_bytes(), ""));
        assert!(
            edit_with(&mut outline, text.as_bytes(), &request("", Some("v2"), None)).is_err(),
            "{what}"
        );
    }
    let at_its_line = format!("services:\n  api: {{}}\nx:\n  {}\n", "- ".repeat(64) + "a");
    assert!(
        refused(&at_its_line).starts_with("line 4 "),
        "{}",
        refused(&at_its_line)
    );
}

#[test]
fn sixty_four_levels_are_read_and_edited() {
    for nested in ["- ".repeat(63) + "a", "[".repeat(63) + &"]".repeat(63)] {
        let text = format!("services:\n  api:\n    image:\n      repository: r.example/api\nx:\n  {nested}\n");
        assert_eq!(services(text.as_bytes(), "").unwrap().len(), 1);
        assert!(edited(&text, "v2").contains(&nested));
    }
}

/// Small files that make a reader who follows every merge and alias work for years.
#[test]
fn merges_of_merges_do_not_hang() {
    let mut text = String::from("m0: &m0 {a: 1}\n");
    for level in 1..200 {
        let bases = vec![format!("*m{}", level - 1); 100].join(", ");
        text.push_str(&format!("m{level}: &m{level} {{<<: [{bases}]}}\n"));
    }
    text.push_str("services:\n");
    for service in 0..1_000 {
        text.push_str(&format!("  s{service}: *m199\n"));
    }
    assert_eq!(services(text.as_bytes(), "").unwrap().len(), 1_000);
    assert_eq!(services(text.as_bytes(), "m199").unwrap(), []);
    // The anchor that merges itself.
    assert_eq!(services(b"a: &a {<<: *a}\nservices: {x: *a}\n", "").unwrap().len(), 1);
    // Many of the same, with many keys.
    let keys: String = (0..20_000).map(|n| format!("  k{n}: 1\n")).collect();
    let aliases: String = (0..20_000).map(|n| format!("  s{n}: *big\n")).collect();
    let text = format!("big: &big\n{keys}services:\n{aliases}");
    assert_eq!(services(text.as_bytes(), "").unwrap().len(), 20_000);
}

/// A key with dots is one key, and not the same as keys below each other.
#[test]
fn a_dotted_key_is_edited_to_the_byte() {
    let of = |service: &str| {
        with(request("shop", Some("v2"), None), |place| {
            place.service = service.to_owned()
        })
    };
    let file = "# shop\nshop:\n  services:\n    billing:\n      v2:\n        image: {tag: v1}\n    billing.v2: # invoices\n      image:\n        repository: r.example/api\n        tag: 'v1'  # tag\n        digest: OLD\n    apiGateway:\n      image:\n        repository: r.example/api\n        tag: v1\n        digest: OLD\n";
    let billing = changed(file, &of("billing.v2"));
    assert_eq!(
        billing,
        filled(&file.replacen("'v1'", "'v2'", 1).replacen("OLD", NEW, 1)),
        "billing.v2"
    );
    let mut outline = None;
    let quick = edit_with(&mut outline, filled(file).as_bytes(), &of("billing.v2")).unwrap();
    assert_eq!(String::from_utf8(quick).unwrap(), billing, "by way of the outline");
    let gateway = changed(&billing, &of("apiGateway"));
    assert_eq!(gateway.matches(NEW).count(), 2, "{gateway}");
    assert_eq!(
        super::remove(gateway.as_bytes(), "shop", &["billing.v2".to_owned()])
            .map(|rest| String::from_utf8(rest).unwrap()),
        Ok(gateway
            .replacen("    billing.v2: # invoices\n      image:\n        repository: r.example/api\n        tag: 'v2'  # tag\n", "", 1)
            .replacen(&format!("        digest: {NEW}\n    apiGateway"), "    apiGateway", 1))
    );
    let names: Vec<String> = (services(filled(file).as_bytes(), "shop").unwrap().into_iter())
        .map(|service| service.name)
        .collect();
    assert_eq!(names, ["billing", "billing.v2", "apiGateway"]);
}

/// New keys are quoted where YAML, or one of its readers, would take them for something else.
#[test]
fn new_keys_are_one_key_each() {
    for (key, written) in [
        ("billing.v2", "billing.v2:"),
        ("apiGateway", "apiGateway:"),
        ("web_frontend", "web_frontend:"),
        ("true", "\"true\":"),
        ("1.5", "\"1.5\":"),
        ("a: b", "\"a: b\":"),
        ("#1", "\"#1\":"),
        ("\"it\"", "\"\\\"it\\\"\":"),
        ("*", "\"*\":"),
    ] {
        let edit = with(request("", Some("v2"), None), |place| place.service = key.to_owned());
        let new = changed("services:\n  api:\n    image: {}\n", &edit);
        let line = new.lines().nth(3).unwrap();
        assert_eq!(
            line.trim().trim_matches('\'').trim_matches('"'),
            written.trim_matches('"'),
            "{new}"
        );
        let found = services(new.as_bytes(), "").unwrap();
        assert_eq!(found[1].name, key, "{new}");
        assert_eq!(
            found[1].image.digest.as_ref().map(ToString::to_string).as_deref(),
            Some(NEW)
        );
    }
}

/// What is said about a dotted key shows that it is one.
#[test]
fn a_refusal_shows_that_a_dotted_key_is_one() {
    let edit_of = with(request("", Some("v2"), None), |place| {
        place.service = "billing.v2".to_owned()
    });
    let ValuesError(why) = edit(b"services:\n  billing.v2: [1]\n", &edit_of).unwrap_err();
    assert!(why.starts_with("services.\"billing.v2\" is no mapping"), "{why}");
}
