//! The rule "nothing else changes", over files in many styles and over some as people write them.

use super::{Outline, edit, edit_with, services};
use crate::ports::git::{PlaceEdit, ServicePlace};
use domain::artifact::ExactImage;
use proptest::prelude::*;

/// How a generated file looks.
#[derive(Clone, Debug)]
struct Look {
    indent: usize,
    crlf: bool,
    mark: bool,
    final_newline: bool,
    marker: bool,
    prefix: bool,
    flow: bool,
    quotes: [Quote; 3],
    quoted_keys: bool,
    order: Vec<usize>,
    comments: bool,
    spaced: bool,
    anchor: bool,
    neighbours: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    Plain,
    Single,
    Double,
}

impl Quote {
    fn around(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Single => format!("'{text}'"),
            Self::Double => format!("\"{text}\""),
        }
    }
}

fn looks() -> impl Strategy<Value = Look> {
    let quote = prop_oneof![Just(Quote::Plain), Just(Quote::Single), Just(Quote::Double)];
    let quotes = proptest::array::uniform3(quote);
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    let flags = proptest::array::uniform10(any::<bool>());
    (quotes, order, flags, 0..3usize).prop_map(|(quotes, order, flags, neighbours)| Look {
        indent: if flags[0] { 2 } else { 4 },
        crlf: flags[1],
        mark: flags[2],
        final_newline: flags[3],
        marker: flags[4],
        prefix: flags[5],
        flow: flags[6],
        quotes,
        quoted_keys: flags[7],
        order,
        comments: flags[8],
        spaced: flags[9],
        anchor: flags[8] && flags[1],
        neighbours,
    })
}

impl Look {
    fn file(&self, image: [&str; 3]) -> String {
        let mut lines = Vec::new();
        let comment = |text: &str| {
            if self.comments {
                format!("   # {text}: {{}} 'x' \"y")
            } else {
                String::new()
            }
        };
        let mut at = 0;
        let pad = |depth: usize| " ".repeat(depth * self.indent);
        if self.comments {
            lines.push("# Values; edited by people, and: by Waybill".to_owned());
        }
        if self.marker {
            lines.push("---".to_owned());
        }
        lines.push("global:   {a: 1,   b: [x,  y]}".to_owned());
        if self.prefix {
            lines.push(format!("lucity-app:{}", comment("chart")));
            at += 1;
        }
        lines.push(format!("{}services:", pad(at)));
        let neighbour = |lines: &mut Vec<String>, name: String| {
            if self.spaced {
                lines.push(String::new());
            }
            lines.push(format!("{}{name}:", pad(at + 1)));
            lines.push(format!(
                "{}image: {{tag: 'v1', repository:  r.example/{name}}}",
                pad(at + 2)
            ));
            lines.push(format!("{}note: |", pad(at + 2)));
            lines.push(format!("{}api: image: tag # no comment", pad(at + 3)));
        };
        for n in 0..self.neighbours {
            neighbour(&mut lines, format!("before{n}"));
        }
        let key = |text: &str| {
            if self.quoted_keys {
                format!("\"{text}\"")
            } else {
                text.to_owned()
            }
        };
        lines.push(format!("{}{}:{}", pad(at + 1), key("api"), comment("service")));
        lines.push(format!("{}replicas:  2", pad(at + 2)));
        let written: Vec<String> = self
            .order
            .iter()
            .map(|i| match i {
                3 => "pullPolicy: Always".to_owned(),
                i => {
                    let name = ["repository", "tag", "digest"][*i];
                    let anchor = if self.anchor && *i == 1 { "&tag " } else { "" };
                    format!("{}: {anchor}{}", key(name), self.quotes[*i].around(image[*i]))
                }
            })
            .collect();
        if self.flow {
            let text = written.join(",  ");
            lines.push(format!("{}image: {{ {text} }}{}", pad(at + 2), comment("image")));
        } else {
            lines.push(format!("{}image:{}", pad(at + 2), comment("image")));
            for text in written {
                if self.comments {
                    lines.push(format!("{}# above", pad(at + 3)));
                }
                lines.push(format!("{}{text}{}", pad(at + 3), comment("right")));
            }
        }
        for n in 0..self.neighbours {
            neighbour(&mut lines, format!("after{n}"));
        }
        let newline = if self.crlf { "\r\n" } else { "\n" };
        let mut file = if self.mark {
            "\u{feff}".to_owned()
        } else {
            String::new()
        };
        file.push_str(&lines.join(newline));
        if self.final_newline {
            file.push_str(newline);
        }
        file
    }

    fn prefix(&self) -> &'static str {
        if self.prefix { "lucity-app" } else { "" }
    }
}

fn request(prefix: &str, service: &str, image: [&str; 3]) -> PlaceEdit {
    PlaceEdit {
        place: ServicePlace {
            path: "values.yaml".to_owned(),
            prefix: prefix.to_owned(),
            service: service.to_owned(),
        },
        image: ExactImage {
            repository: image[0].parse().unwrap(),
            tag: Some(image[1].parse().unwrap()),
            digest: image[2].parse().unwrap(),
        },
        runtime: None,
        may_create: true,
    }
}

fn tags() -> impl Strategy<Value = String> {
    let tricky = [
        "1.10",
        "1e3",
        "0123",
        "true",
        "null",
        "on",
        "1234567",
        "2026-01-02",
        "1_0",
        "0x1f",
        "NaN",
    ];
    prop_oneof![
        3 => "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}",
        1 => proptest::sample::select(tricky.to_vec()).prop_map(str::to_owned),
    ]
}

fn repositories() -> impl Strategy<Value = String> {
    "(127\\.0\\.0\\.1:5000|r\\.example|localhost)/[a-z0-9]{1,6}(/[a-z0-9]{1,6})?"
}

fn digests() -> impl Strategy<Value = String> {
    "sha256:[0-9a-f]{64}"
}

/// Lines of `old` and `new` differ only where a value of `before` became the one of `after`, quotes aside.
fn assert_only_scalars_differ(old: &str, new: &str, before: [&str; 3], after: [&str; 3]) {
    let (old_lines, new_lines): (Vec<_>, Vec<_>) = (old.split('\n').collect(), new.split('\n').collect());
    assert_eq!(old_lines.len(), new_lines.len(), "{old}\n--\n{new}");
    for (old, new) in old_lines.into_iter().zip(new_lines) {
        if old == new {
            continue;
        }
        // All three may stand on one line; values are replaced from left to right, whichever comes first.
        let mut rest = (old, new);
        while rest.0 != rest.1 {
            let next = (0..3)
                .filter_map(|i| {
                    [Quote::Double, Quote::Single, Quote::Plain].iter().find_map(|q| {
                        let token = q.around(before[i]);
                        rest.0.find(&token).map(|at| (at, i, token))
                    })
                })
                .filter(|(at, ..)| rest.0.get(..*at) == rest.1.get(..*at))
                .find_map(|(at, i, token)| {
                    let tail = &rest.1[at..];
                    [Quote::Double, Quote::Single, Quote::Plain].iter().find_map(|q| {
                        let put = q.around(after[i]);
                        tail.strip_prefix(put.as_str())
                            .map(|tail| (&rest.0[at + token.len()..], tail))
                    })
                });
            rest = next.unwrap_or_else(|| panic!("more than a value differs:\n{old}\n{new}"));
        }
    }
}

fn check(file: &str, prefix: &str, service: &str, before: [&str; 3], after: [&str; 3], is_reversible: bool) {
    let wanted = request(prefix, service, after);
    let new = String::from_utf8(edit(file.as_bytes(), &wanted).unwrap()).unwrap();
    assert_only_scalars_differ(file, &new, before, after);
    let read = services(new.as_bytes(), prefix).unwrap();
    let read = read.iter().find(|s| s.name == service).unwrap();
    assert_eq!(read.image.repository.as_ref(), Some(&wanted.image.repository));
    assert_eq!(read.image.tag, wanted.image.tag);
    assert_eq!(read.image.digest.as_ref(), Some(&wanted.image.digest));
    let old_services = services(file.as_bytes(), prefix).unwrap();
    let new_services = services(new.as_bytes(), prefix).unwrap();
    let others = |all: Vec<_>| -> Vec<_> {
        let other = |s: &crate::ports::git::DeclaredService| s.name != service;
        all.into_iter().filter(other).collect()
    };
    assert_eq!(others(old_services), others(new_services));
    assert_eq!(edit(new.as_bytes(), &wanted).unwrap(), new.as_bytes(), "the same again");
    if is_reversible {
        let back = edit(new.as_bytes(), &request(prefix, service, before)).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), file, "and back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_changes_only_the_values(
        look in looks(),
        old_repository in repositories(), old_tag in "v[0-9a-z.]{0,8}[a-z]", old_digest in digests(),
        repository in repositories(), tag in tags(), digest in digests(),
    ) {
        let (before, after) = ([&*old_repository, &*old_tag, &*old_digest], [&*repository, &*tag, &*digest]);
        // A plain value that had to be quoted keeps its quotes on the way back.
        let is_reversible = look.quotes[1] != Quote::Plain || super::scalar::is_text(&tag);
        check(&look.file(before), look.prefix(), "api", before, after, is_reversible);
    }

    #[test]
    fn the_lines_of_one_service_are_edited_as_in_the_whole_file(
        look in looks(), tags in proptest::collection::vec((tags(), repositories(), digests()), 1..4),
    ) {
        let mut file = look.file(["r.example/a", "v1", "x"]).into_bytes();
        let mut outline = None;
        for (tag, repository, digest) in &tags {
            for service in ["api", "before1", "after0"] {
                let mut wanted = request(look.prefix(), service, [repository, tag, digest]);
                if tag.len() == 3 {
                    wanted.image.tag = None;
                }
                let whole = edit(&file, &wanted).unwrap();
                prop_assert_eq!(
                    String::from_utf8(edit_with(&mut outline, &file, &wanted).unwrap()).unwrap(),
                    String::from_utf8(whole.clone()).unwrap()
                );
                if let Some(outline) = &outline {
                    // The outline is that of the new text.
                    prop_assert_eq!(format!("{outline:?}"), format!("{:?}", Outline::of(&whole, look.prefix())));
                }
                file = whole;
            }
        }
    }

    #[test]
    fn adding_a_service_only_adds_lines(
        look in looks(), repository in repositories(), tag in tags(), digest in digests(),
    ) {
        let file = look.file(["r.example/a", "v1", "x"]);
        let wanted = request(look.prefix(), "another", [&repository, &tag, &digest]);
        let new = String::from_utf8(edit(file.as_bytes(), &wanted).unwrap()).unwrap();
        let mut rest = new.split('\n').map(|line| line.trim_end_matches('\r'));
        for line in file.split('\n').map(|line| line.trim_end_matches('\r')) {
            prop_assert!(rest.any(|other| other == line), "{line:?} was lost:\n{new}");
        }
        if look.crlf {
            prop_assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        }
        let read = services(new.as_bytes(), look.prefix()).unwrap();
        let found = read.iter().find(|s| s.name == "another").unwrap();
        prop_assert_eq!(&found.image.tag, &wanted.image.tag);
        prop_assert_eq!(found.image.digest.as_ref(), Some(&wanted.image.digest));
    }

    #[test]
    fn whatever_the_file_holds_it_is_edited_or_refused(
        head in prop_oneof![Just(""), Just("services:\n"), Just("services:\n  api:\n"), Just("services:\n  api:\n    image:\n      tag: ")],
        tail in "[a-b:{}\\[\\],#&*!|>'\"~?%@ \n\t<0\u{e9}-]{0,40}",
    ) {
        let file = format!("{head}{tail}");
        let digest = format!("sha256:{}", "a".repeat(64));
        let wanted = request("", "api", ["r.example/api", "v1", &digest]);
        if let Ok(new) = edit(file.as_bytes(), &wanted) {
            let read = services(&new, "").unwrap();
            let found = read.iter().find(|s| s.name == "api").unwrap();
            prop_assert_eq!(found.image.digest.as_ref(), Some(&wanted.image.digest));
            prop_assert_eq!(&found.image.tag, &wanted.image.tag);
        }
        let _ = services(file.as_bytes(), "");
    }
}

/// Files as people write them: name, prefix, service, the image it declares.
const AS_PEOPLE_WRITE: [(&str, &str, &str, [&str; 3]); 3] = [
    (
        include_str!("samples/helm.yaml"),
        "",
        "api",
        [
            "registry.example.com/myapp/api",
            "a1b2c3d",
            "sha256:5f0c7d8e9a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabb",
        ],
    ),
    (
        include_str!("samples/umbrella.yaml"),
        "lucity-app",
        "worker",
        [
            "ghcr.io/acme/worker",
            "1.10.0-rc1",
            "sha256:00c7d8e9a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabbc",
        ],
    ),
    (
        include_str!("samples/anchors.yaml"),
        "",
        "web",
        [
            "127.0.0.1:5000/shop/web",
            "2024.06",
            "sha256:11c7d8e9a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabbc",
        ],
    ),
];

#[test]
fn files_as_people_write_them() {
    let after = [
        "r.example/moved",
        "1.10",
        "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for (file, prefix, service, before) in AS_PEOPLE_WRITE {
        check(file, prefix, service, before, after, false);
        let after = [after[0], "v9", after[2]];
        check(file, prefix, service, before, after, true);
        let crlf = file.replace('\n', "\r\n");
        check(&crlf, prefix, service, before, after, true);
        check(crlf.trim_end(), prefix, service, before, after, true);
    }
}
