//! Files that say something else than they seem to: numbers for tags, images over several keys, seals.

use super::{Outline, edit, edit_with, remove, services};
use crate::ports::git::{PlaceEdit, ServicePlace};
use domain::artifact::{DeclaredImage, ExactImage};

const DIGEST: &str = "sha256:abcdef0222222222222222222222222222222222222222222222222222222222";

fn request(repository: &str, tag: &str) -> PlaceEdit {
    PlaceEdit {
        place: ServicePlace {
            path: "values.yaml".to_owned(),
            prefix: String::new(),
            service: "api".to_owned(),
        },
        image: ExactImage {
            repository: repository.parse().unwrap(),
            tag: Some(tag.parse().unwrap()),
            digest: DIGEST.parse().unwrap(),
        },
        runtime: None,
        may_create: true,
    }
}

/// The edited file, or why it is refused; the same with and without an outline.
fn edited(text: &str, request: &PlaceEdit) -> Result<String, String> {
    let whole = edit(text.as_bytes(), request);
    let mut outline = None;
    assert_eq!(edit_with(&mut outline, text.as_bytes(), request), whole, "{text}");
    let mut outline = Some(Outline::of(text.as_bytes(), &request.place.prefix));
    assert_eq!(edit_with(&mut outline, text.as_bytes(), request), whole, "{text}");
    whole
        .map(|new| String::from_utf8(new).unwrap())
        .map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    edited(text, &request("r.example/shop/api", "1.1.0")).unwrap_err()
}

fn declared(text: &str) -> DeclaredImage {
    let found = services(text.as_bytes(), "").unwrap();
    found.into_iter().find(|s| s.name == "api").unwrap().image
}

fn unclear(text: &str) -> String {
    let image = declared(text);
    assert_eq!(
        (image.digest, image.tag.is_some() && image.repository.is_some()),
        (None, false),
        "{text}"
    );
    image.unclear.unwrap_or_else(|| panic!("it is clear:\n{text}"))
}

fn image(keys: &str) -> String {
    format!(
        "services:\n  api:\n    image:\n      {}\n",
        keys.replace('\n', "\n      ")
    )
}

#[test]
fn a_tag_that_is_read_as_something_else_is_no_tag() {
    let file = include_str!("../../../../tests/fixtures/cases/02-tag-without-quotes/staging.yaml")
        .replace("REGISTRY", "r.example");
    let found = services(file.as_bytes(), "").unwrap();
    let said: Vec<_> = found
        .iter()
        .map(|s| (s.name.as_str(), s.image.unclear.as_deref().unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            (
                "api",
                "line 5: YAML reads 1.10 as the number 1.1; write it in quotes (`tag: \"1.10\"`), or add the digest"
            ),
            (
                "web",
                "line 9: YAML reads 1e3 as the number 1000; write it in quotes (`tag: \"1e3\"`), or add the digest"
            ),
            (
                "jobs",
                "line 13: YAML reads 0123 as the number 83; write it in quotes (`tag: \"0123\"`), or add the digest"
            ),
            (
                "mail",
                "line 17: YAML reads 2026-11-01 as a date; write it in quotes (`tag: \"2026-11-01\"`), or add the digest"
            ),
        ]
    );
    assert!(found.iter().all(|s| s.image.tag.is_none()));
    // They are no sources, and may be promoted to: what is written is in quotes.
    assert_eq!(super::dry::refusals(file.as_bytes(), "", &[]), Vec::<String>::new());
    // In quotes all is as it was, and a digest beside it is the whole answer.
    let tag = |keys: &str| declared(&image(&format!("repository: r.example/shop/api\n{keys}")));
    for quoted in ["\"1.10\"", "'1.10'", "!!str 1.10", "|-\n  1.10"] {
        let found = tag(&format!("tag: {quoted}"));
        assert_eq!((found.tag.unwrap().as_str(), found.unclear), ("1.10", None), "{quoted}");
    }
    let found = tag(&format!("tag: 1.10\ndigest: {DIGEST}"));
    assert_eq!((found.tag, found.unclear), (None, None));
    assert_eq!(found.digest.unwrap().as_str(), DIGEST);
    for (written, word) in [
        ("tag: 1_0", "number 10"),
        ("tag: 2026.07", "number 2026.07"),
        ("tag: 0x10", "number 16"),
        ("tag: 1234567", "number 1.234567e+06"),
        ("tag: yes", "truth value true"),
        ("tag: .inf", "number +Inf"),
        ("tag: !!int 110", "YAML tag \"int\""),
        ("tag: [v1]", "mapping or list"),
        ("tag: a b", "no valid tag"),
        ("digest: 1.10", "number 1.1"),
        ("digest: sha256:12", "is no digest"),
        ("tag: v1\ndigest: 0123", "number 83"),
    ] {
        let said = unclear(&image(&format!("repository: r.example/shop/api\n{written}")));
        assert!(said.contains(word), "{written}: {said}");
    }
    assert!(unclear(&image("repository: 0123\ntag: v1")).contains("number 83"));
    // Build numbers are what they are.
    assert_eq!(tag("tag: 417").tag.unwrap().as_str(), "417");
    assert_eq!(tag("tag: ~").unclear, None);
}

#[test]
fn a_registry_apart_is_read_and_its_repository_stays_a_path() {
    for (file, kept) in [
        (
            include_str!("../../../../tests/fixtures/cases/03-registry-apart/target.yaml"),
            "      registry: r.example\n      repository: shop/api\n",
        ),
        (
            include_str!("../../../../tests/fixtures/cases/03-registry-apart/target-global.yaml"),
            "  imageRegistry: r.example\nservices:\n  api:\n    image:\n      repository: shop/api\n",
        ),
    ] {
        let file = file.replace("REGISTRY", "r.example");
        let found = declared(&file);
        assert_eq!(found.repository.unwrap().as_str(), "r.example/shop/api");
        assert_eq!((found.tag.unwrap().as_str(), found.unclear), ("1.0.0", None));
        let new = edited(&file, &request("r.example/shop/api", "1.1.0")).unwrap();
        assert!(new.contains(kept), "{new}");
        assert_eq!(new.matches("r.example").count(), 1, "{new}");
        assert!(
            new.ends_with(&format!("      tag: \"1.1.0\"\n      digest: \"{DIGEST}\"\n")),
            "{new}"
        );
        let again = declared(&new);
        assert_eq!(again.repository.unwrap().as_str(), "r.example/shop/api");
        assert_eq!(again.digest.unwrap().as_str(), DIGEST);
        // Another path is written, another registry is not.
        let moved = edited(&file, &request("r.example/shop/api2", "1.1.0")).unwrap();
        assert!(moved.contains("repository: shop/api2\n"), "{moved}");
        let why = edited(&file, &request("other.example/shop/api", "1.1.0")).unwrap_err();
        assert!(why.contains("change the registry in Git first"), "{why}");
    }
    let below = image("registry: r.example/shop/\nrepository: api");
    assert_eq!(declared(&below).repository.unwrap().as_str(), "r.example/shop/api");
    assert!(
        edited(&below, &request("r.example/shop/api", "v1"))
            .unwrap()
            .contains("repository: api\n")
    );
    // Nothing written in it is nothing.
    let empty = format!(
        "global: {{imageRegistry: \"\"}}\n{}",
        image("registry: ~\nrepository: r.example/shop/api\ntag: v1")
    );
    assert!(
        edited(&empty, &request("r.example/shop/api", "v2"))
            .unwrap()
            .contains("repository: r.example/shop/api\n")
    );
}

#[test]
fn an_image_over_keys_that_nobody_knows_is_refused_by_name() {
    let with = |keys: &str| image(&format!("repository: r.example/shop/api\ntag: v1\n{keys}"));
    for (file, words) in [
        (with("name: api"), "line 6: `name` stands beside `repository`"),
        (
            image("name: r.example/shop/api\ntag: v1"),
            "`name` stands in place of `repository`",
        ),
        (image("hub: r.example/shop\nrepository: api"), "`hub` stands beside"),
        (with("sha: 12ab"), "`sha` stands in place of `digest`"),
        (
            image("repository: r.example/shop/api\nversion: \"1.0\""),
            "`version` stands in place of `tag`",
        ),
        (with("version: \"1.0\""), "`version` stands beside `tag`"),
        (with("registry: r.example"), "names its registry itself"),
        (
            format!("global: {{imageRegistry: r.example}}\n{}", with("")),
            "`global.imageRegistry` (line 1) stands beside",
        ),
        (
            format!(
                "global: {{imageRegistry: a.example}}\n{}",
                image("registry: b.example\nrepository: shop/api")
            ),
            "name two registries",
        ),
        (
            format!(
                "global: {{image: {{registry: a.example}}}}\n{}",
                image("repository: shop/api")
            ),
            "`global.image.registry` (line 1)",
        ),
        (image("repository: shop/api\ntag: v1"), "names no registry"),
        (image("repository: r.example/shop/api:v1"), "holds a tag or digest"),
        (
            "services:\n  api:\n    image: r.example/shop/api:v1\n".to_owned(),
            "no mapping",
        ),
    ] {
        for said in [refused(&file), unclear(&file)] {
            assert!(said.contains(words), "{file}\n{said}");
        }
    }
    // An empty key for the digest still shows from where the chart takes it; as a source its tag is clear.
    let empty = with("sha: \"\"");
    assert!(refused(&empty).contains("`sha`"));
    assert_eq!(declared(&empty).unclear, None);
    // The digest in the tag is read, and isn't moved to a key that the chart may not know.
    let within = image(&format!("repository: r.example/shop/api\ntag: 1.0.0@{DIGEST}"));
    let found = declared(&within);
    assert_eq!(
        (found.tag.unwrap().as_str(), found.digest.unwrap().as_str()),
        ("1.0.0", DIGEST)
    );
    assert!(refused(&within).contains("`tag` holds the digest"));
    let other = DIGEST.replace("abcdef", "fedcba");
    let two = image(&format!(
        "repository: r.example/shop/api\ntag: 1.0.0@{DIGEST}\ndigest: {other}"
    ));
    assert!(unclear(&two).contains("is not the one in `digest`"));
    // A new service beside some whose registry is apart.
    let neighbour = "services:\n  web:\n    image:\n      registry: r.example\n      repository: shop/web\n";
    assert!(refused(neighbour).contains("in web (line 4)"));
    // A prefix has a global part of its own.
    let inner = "app:\n  global:\n    imageRegistry: r.example\n  services:\n    api:\n      image:\n        repository: shop/api\n";
    let mut wanted = request("r.example/shop/api", "v1");
    wanted.place.prefix = "app".to_owned();
    assert!(edited(inner, &wanted).unwrap().contains("repository: shop/api\n"));
}

#[test]
fn a_seal_over_the_clear_part_is_not_broken() {
    let file =
        include_str!("../../../../tests/fixtures/cases/04-sealed-file/target.yaml").replace("REGISTRY", "r.example");
    let why = edited(&file, &request("r.example/shop/api", "1.1.0")).unwrap_err();
    assert!(
        why.contains("sealed by SOPS (line 9)") && why.contains("`mac_only_encrypted: true`"),
        "{why}"
    );
    assert!(why.contains("a file of their own"), "{why}");
    assert!(remove(file.as_bytes(), "", &["api".to_owned()]).is_err());
    // It is read all the same.
    assert_eq!(declared(&file).tag.unwrap().as_str(), "1.0.0");

    let open = file.replace("  version: 3.9.0\n", "  version: 3.9.0\n  mac_only_encrypted: true\n");
    let new = edited(&open, &request("r.example/shop/api", "1.1.0")).unwrap();
    let seal = |text: &str| text[text.find("database:").unwrap()..].to_owned();
    assert_eq!(seal(&new), seal(&open));
    assert!(new.contains("tag: \"1.1.0\"") && new.contains(DIGEST), "{new}");
    // An encrypted image isn't overwritten with one in the clear, and nobody knows whether a new one would be.
    let hidden = open.replace("tag: \"1.0.0\"", "tag: ENC[AES256_GCM,data:Zm9v,type:str]");
    assert!(
        edited(&hidden, &request("r.example/shop/api", "1.1.0"))
            .unwrap_err()
            .contains("encrypted too")
    );
    let mut other = request("r.example/shop/web", "1.1.0");
    other.place.service = "web".to_owned();
    assert!(edited(&open, &other).unwrap_err().contains("would be in the clear"));
    let hidden = hidden.replace(
        "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        "ENC[a]",
    );
    assert!(unclear(&hidden).contains("is encrypted"));
}

#[test]
fn what_a_tool_owns_is_named_and_left_alone() {
    for (text, word) in [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
            "pointer of Git LFS",
        ),
        ("\0GITCRYPT\0abc", "git-crypt"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "Ansible Vault"),
    ] {
        assert!(services(text.as_bytes(), "").unwrap_err().to_string().contains(word));
        let why = refused(text);
        assert!(why.contains(word) && !why.contains("write it as one"), "{why}");
    }
    let made = format!(
        "# Code generated by render.sh; DO NOT EDIT.\n{}",
        image("repository: r.example/shop/api")
    );
    assert!(refused(&made).starts_with("line 1 says that a program makes this file"));
    assert_eq!(declared(&made).repository.unwrap().as_str(), "r.example/shop/api");
}
