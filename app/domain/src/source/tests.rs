use super::*;

const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn revision(text: &str) -> Revision {
    Revision::parse(text).unwrap()
}

#[test]
fn reads_every_shape_of_a_label() {
    for (label, host, is_ssh, path, folder) in [
        ("https://github.com/acme/api", "github.com", false, "acme/api", None),
        ("https://github.com/acme/api.git", "github.com", false, "acme/api", None),
        ("https://github.com/acme/api/", "github.com", false, "acme/api", None),
        ("HTTPS://GitHub.com/Acme/API", "github.com", false, "Acme/API", None),
        ("git+https://github.com/acme/api", "github.com", false, "acme/api", None),
        ("https://github.com:443/acme/api", "github.com", false, "acme/api", None),
        ("http://git.example:80/acme/api", "git.example", false, "acme/api", None),
        (
            "http://git.example:3000/acme/api",
            "git.example:3000",
            false,
            "acme/api",
            None,
        ),
        (
            "https://u:secret@git.example/a/b.git?token=x",
            "git.example",
            false,
            "a/b",
            None,
        ),
        ("ssh://git@git.example:2222/a/b.git", "git.example", true, "a/b", None),
        ("git@github.com:acme/api.git", "github.com", true, "acme/api", None),
        (
            "https://gitlab.com/group/sub/api",
            "gitlab.com",
            false,
            "group/sub/api",
            None,
        ),
        (
            "https://github.com/acme/mono/tree/main/services/api",
            "github.com",
            false,
            "acme/mono",
            Some("services/api"),
        ),
        (
            "https://github.com/acme/mono/tree/main",
            "github.com",
            false,
            "acme/mono",
            None,
        ),
        (
            "https://gitlab.example/g/mono/-/tree/main/api",
            "gitlab.example",
            false,
            "g/mono",
            Some("api"),
        ),
        (
            "https://codeberg.org/acme/mono/src/branch/main/api",
            "codeberg.org",
            false,
            "acme/mono",
            Some("api"),
        ),
        (
            "https://bitbucket.org/acme/mono/src/main/api/",
            "bitbucket.org",
            false,
            "acme/mono",
            Some("api"),
        ),
        (
            "https://git.example/acme/mono.git#main:services/api",
            "git.example",
            false,
            "acme/mono",
            Some("services/api"),
        ),
        (
            "https://git.example/acme/mono.git#main",
            "git.example",
            false,
            "acme/mono",
            None,
        ),
    ] {
        let read = SourceRepository::parse(label).unwrap_or_else(|| panic!("{label} is a repository"));
        assert_eq!(
            (
                read.host.as_str(),
                read.is_ssh,
                read.path.as_str(),
                read.folder.as_deref()
            ),
            (host, is_ssh, path, folder),
            "{label}"
        );
    }
}

#[test]
fn refuses_what_is_no_repository_on_a_host() {
    let long = format!("https://git.example/{}", "a".repeat(LONGEST));
    for label in [
        "",
        "acme/api",
        "/srv/git/api.git",
        "file:///srv/git/api.git",
        "javascript:alert(1)//x",
        "https://git.example",
        "https://git.example/",
        "https:///acme/api",
        "https://git.example:0/acme/api",
        "https://git.example:port/acme/api",
        "https://git.example/../acme",
        "https://git.example/acme/%2e%2e/api",
        "https://git.example/acme//api",
        "https://git.example/acme/api\nx",
        "https://git.example/acme api",
        "https://[::1]/acme/api",
        "ftp://git.example/acme/api",
        long.as_str(),
    ] {
        assert_eq!(SourceRepository::parse(label), None, "{label}");
    }
}

#[test]
fn a_repository_is_at_a_host_only_as_an_administrator_listed_it() {
    let at = |label: &str, listed: &str| SourceRepository::parse(label).unwrap().is_at(listed);
    assert!(at("https://git.example/a/b", "git.example"));
    assert!(at("https://git.example:8443/a/b", "git.example:8443"));
    assert!(at("ssh://git@git.example:22/a/b", "git.example"));
    assert!(
        at("git@git.example:a/b", "git.example:8443"),
        "the port of SSH says nothing about HTTP"
    );
    assert!(!at("https://git.example:8443/a/b", "git.example"));
    assert!(!at("https://git.example/a/b", "git.example:8443"));
    assert!(!at("https://git.example.evil.test/a/b", "git.example"));
    assert!(!at("https://git.example@evil.test/a/b", "git.example"));
    assert!(!at("git@evil.test:git.example/b", "git.example"));
}

#[test]
fn one_repository_has_several_addresses() {
    let is_same = |a: &str, b: &str| {
        let read = |label| SourceRepository::parse(label).unwrap();
        read(a).is_same(&read(b))
    };
    assert!(is_same("https://github.com/a/b", "git@github.com:a/b.git"));
    assert!(is_same(
        "https://github.com/a/b/tree/main/x",
        "https://github.com/a/b/tree/main/y"
    ));
    assert!(!is_same("https://github.com/a/b", "https://github.com/a/c"));
    assert!(!is_same("https://git.example/a/b", "https://git.example:8443/a/b"));
}

#[test]
fn links_follow_the_shape_of_the_host() {
    let (old, new) = (revision(OLD), revision(NEW));
    for (label, compare, commit) in [
        (
            "git@github.com:acme/api.git",
            format!("https://github.com/acme/api/compare/{OLD}...{NEW}"),
            format!("https://github.com/acme/api/commit/{NEW}"),
        ),
        (
            "https://gitlab.example:8443/g/s/api",
            format!("https://gitlab.example:8443/g/s/api/-/compare/{OLD}...{NEW}"),
            format!("https://gitlab.example:8443/g/s/api/-/commit/{NEW}"),
        ),
        (
            "https://bitbucket.org/acme/api",
            format!("https://bitbucket.org/acme/api/branches/compare/{NEW}%0D{OLD}"),
            format!("https://bitbucket.org/acme/api/commits/{NEW}"),
        ),
        (
            "https://forgejo.example/acme/api",
            format!("https://forgejo.example/acme/api/compare/{OLD}...{NEW}"),
            format!("https://forgejo.example/acme/api/commit/{NEW}"),
        ),
    ] {
        let read = SourceRepository::parse(label).unwrap();
        assert_eq!(read.compare_link(&old, &new), Some(compare), "{label}");
        assert_eq!(read.commit_link(&new), Some(commit), "{label}");
    }
    for unknown in [
        "https://git.example/a/b",
        "https://notgithub.com/a/b",
        "http://127.0.0.1:3000/a.git",
    ] {
        let read = SourceRepository::parse(unknown).unwrap();
        assert_eq!(read.compare_link(&old, &new), None, "{unknown}");
    }
}

#[test]
fn a_revision_is_the_name_of_a_commit() {
    assert_eq!(Revision::parse(" 3F1C0D9E ").unwrap().as_str(), "3f1c0d9e");
    assert!(revision(OLD).is_whole() && !revision("3f1c0d9e").is_whole());
    assert!(revision(OLD).is_same(&revision("aaaaaaa")) && !revision(OLD).is_same(&revision(NEW)));
    let long = format!("{OLD}a");
    for odd in ["", "main", "v1.2.3", "abc", "3f1c0d9e-dirty", long.as_str()] {
        assert_eq!(Revision::parse(odd), None, "{odd}");
    }
}

#[test]
fn hosts_are_listed_without_anything_around_them() {
    assert_eq!(
        listed_host(" Git.Example.com:8443 ").as_deref(),
        Some("git.example.com:8443")
    );
    for odd in [
        "",
        "https://git.example",
        "git.example/a",
        "u@git.example",
        "git.example:0",
        "a b",
        ".x",
    ] {
        assert_eq!(listed_host(odd), None, "{odd}");
    }
}

#[test]
fn every_outcome_is_a_sentence() {
    let commit = SourceCommit {
        id: revision(NEW),
        subject: "Fix it".into(),
        author: "Ada".into(),
        at: Timestamp(0),
        url: None,
    };
    let one = Commits {
        commits: vec![commit],
        has_more: false,
    };
    let changes = |changes, folder: Option<&str>| {
        SourceChanges {
            repository: Some("github.com/acme/api".into()),
            folder: folder.map(str::to_owned),
            before: Some(revision(OLD)),
            after: Some(revision(NEW)),
            compare: None,
            changes,
        }
        .sentence()
    };
    let known = |is_forward| Changes::Known {
        commits: one.clone(),
        is_forward,
    };
    assert_eq!(
        changes(Changes::Same, Some("api")),
        "Both images were built from bbbbbbb."
    );
    assert_eq!(changes(known(true), None), "Brings 1 commit: from aaaaaaa to bbbbbbb.");
    assert_eq!(
        changes(known(false), None),
        "Takes back 1 commit: bbbbbbb is older than aaaaaaa."
    );
    assert!(changes(known(true), Some("services/api")).ends_with("Which of them changed services/api is unknown."));
    let parted = Changes::BothWays {
        base: None,
        new: one.clone(),
        gone: Commits::default(),
    };
    assert!(changes(parted, None).starts_with("Commit aaaaaaa isn't in the history of bbbbbbb. "));
    let many = Commits {
        has_more: true,
        ..Commits::default()
    };
    assert_eq!(many.words(), "more than 250 commits");
    assert_eq!(Commits::default().words(), "0 commits");
    let why = Unknown::NoSource { side: Side::After };
    assert_eq!(
        changes(Changes::Unknown { why }, None),
        "Unknown: the new image has no label org.opencontainers.image.source."
    );
}
