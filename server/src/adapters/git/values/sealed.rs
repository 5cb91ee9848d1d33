//! Files that somebody else's tool owns or seals: an edit would break the seal, or be undone.
//!
//! What is encrypted as a whole can't even be read, and is named by what encrypted it. A file that can be read is refused when it is
//! edited: SOPS keeps a code over all values, the clear ones too, and whatever generates a file writes it anew.

use super::{
    DIGEST, REPOSITORY, TAG, ValuesError,
    document::{Document, NodeId},
    image::is_encrypted,
};

/// How files begin that are no values but stand for some.
const BEGINS: [(&[u8], &str, &str); 9] = [
    (
        b"\0GITCRYPT\0",
        "it is encrypted by git-crypt",
        "take it out of git-crypt's rules in .gitattributes, or keep images in a file of their own",
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "it is a pointer of Git LFS, whose content is not in Git",
        "run `git lfs untrack` and `git add --renormalize` for it, so that the file itself is in Git",
    ),
    (
        b"version https://hawser.github.com/spec/",
        "it is a pointer of Git LFS, whose content is not in Git",
        "run `git lfs untrack` and `git add --renormalize` for it, so that the file itself is in Git",
    ),
    (
        b"$ANSIBLE_VAULT;",
        "it is encrypted by Ansible Vault",
        "keep images in a file of their own that is in the clear",
    ),
    (
        b"age-encryption.org/",
        "it is encrypted by age",
        "keep images in a file of their own that is in the clear",
    ),
    (
        b"-----BEGIN AGE ENCRYPTED FILE-----",
        "it is encrypted by age",
        "keep images in a file of their own that is in the clear",
    ),
    (
        b"-----BEGIN PGP MESSAGE-----",
        "it is encrypted with PGP",
        "keep images in a file of their own that is in the clear",
    ),
    (
        b"-----BEGIN PGP SIGNED MESSAGE-----",
        "it is signed with PGP, and an edit would make the signature false",
        "keep images in a file of their own",
    ),
    (
        b"U2FsdGVkX1",
        "it is encrypted by transcrypt or OpenSSL",
        "keep images in a file of their own that is in the clear",
    ),
];

/// What a generated file says at its head of people's edits.
const NOT_TO_BE_EDITED: [&str; 9] = [
    "do not edit",
    "don't edit",
    "do not modify",
    "don't modify",
    "do not change",
    "not be edited",
    "manual changes will",
    "checksum",
    "sha256",
];

/// Refuses a file that is no values file but stands for one.
pub(super) fn check_bytes(bytes: &[u8]) -> Result<(), ValuesError> {
    let content = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match BEGINS.iter().find(|(begin, ..)| content.starts_with(begin)) {
        Some((_, what, way_out)) => Err(ValuesError(format!("{what}; {way_out}"))),
        None => Ok(()),
    }
}

/// Refuses an edit of a file whose seal it would break, or which is made by a program.
pub(super) fn check(document: &Document<'_>) -> Result<(), ValuesError> {
    if let Some((line, says)) = generated(document.text) {
        return Err(ValuesError(format!(
            "line {line} says that a program makes this file ({says:?}), so that an edit would be undone or make its checksum false; have \
             the program write the image, or keep images in a file of their own"
        )));
    }
    match sops(document) {
        Some(Seal { line, is_of_all: true }) => Err(ValuesError(format!(
            "it is sealed by SOPS (line {line}): its `mac` covers the clear values too, and after an edit nobody could decrypt it; keep \
             images in a file of their own, or encrypt it again with `mac_only_encrypted: true`"
        ))),
        _ => Ok(()),
    }
}

/// Refuses an edit of an image in a file of SOPS, unless what is there shows that it stays in the clear.
pub(super) fn check_image(document: &Document<'_>, image: Option<NodeId>) -> Result<(), ValuesError> {
    let Some(seal) = sops(document) else { return Ok(()) };
    let (mut clear, mut encrypted) = (false, false);
    for key in [REPOSITORY, TAG, DIGEST] {
        let value = image.and_then(|image| document.lookup(image, key));
        if let Some((text, _)) = value.and_then(|value| document.scalar(value)) {
            match is_encrypted(text) {
                true => encrypted = true,
                false => clear |= !text.is_empty(),
            }
        }
    }
    if clear && !encrypted {
        return Ok(());
    }
    Err(ValuesError(format!(
        "it is encrypted by SOPS (line {}), and {}; write the image with `sops` first, in the clear (`unencrypted_regex`), or keep images in \
         a file of their own",
        seal.line,
        if encrypted {
            "this image is encrypted too"
        } else {
            "nothing shows that a new image would be in the clear"
        }
    )))
}

/// Whether the lines alone of one service don't tell whether it may be edited.
pub(super) fn is_sealed(document: &Document<'_>) -> bool {
    sops(document).is_some() || generated(document.text).is_some()
}

struct Seal {
    line: usize,
    /// Whether the code covers all values.
    is_of_all: bool,
}

fn sops(document: &Document<'_>) -> Option<Seal> {
    let sops = document.own(document.root?, "sops")?;
    let block = document.resolve(sops.value);
    let mac = document.lookup(block, "mac")?;
    let (text, _) = document.scalar(mac)?;
    if !is_encrypted(text) {
        return None;
    }
    let only_encrypted = document
        .lookup(block, "mac_only_encrypted")
        .and_then(|value| document.scalar(value))
        .is_some_and(|(text, _)| text == "true");
    Some(Seal {
        line: document.node_at(sops.key).line,
        is_of_all: !only_encrypted,
    })
}

/// The line of the comments above everything that says a program makes this file, and what it says.
fn generated(text: &str) -> Option<(usize, String)> {
    let head: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with('#') || *line == "---" || line.starts_with('%'))
        .collect();
    let all = head.join(" ").to_ascii_lowercase();
    // Who writes so of Waybill itself means that people don't.
    if all.contains("waybill") {
        return None;
    }
    let is_made = |line: &str| {
        let made = [
            "generated",
            "auto-generated",
            "autogenerated",
            "managed by",
            "rendered by",
        ];
        made.iter().any(|word| line.contains(word))
    };
    let forbids = NOT_TO_BE_EDITED.iter().any(|words| all.contains(words));
    head.iter().enumerate().find_map(|(at, line)| {
        let lower = line.to_ascii_lowercase();
        let says = lower.contains("@generated") || (forbids && is_made(&lower));
        says.then(|| {
            let said = line.trim_start_matches(['#', ' ']);
            (at + 1, said.chars().take(80).collect())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_file_is_named() {
        for (bytes, word) in [
            (&b"\0GITCRYPT\0\x01\xff\xfe"[..], "git-crypt"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n",
                "pointer of Git LFS",
            ),
            (b"\xef\xbb\xbf$ANSIBLE_VAULT;1.1;AES256\n61\n", "Ansible Vault"),
            (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
            (b"U2FsdGVkX1+abc\n", "transcrypt"),
        ] {
            let reason = check_bytes(bytes).unwrap_err().to_string();
            assert!(reason.contains(word) && !reason.contains("write it as one"), "{reason}");
        }
        assert_eq!(check_bytes(b"version: 1\n"), Ok(()));
    }

    #[test]
    fn a_generated_file_says_so_in_its_head() {
        for text in [
            "# Code generated by cdk8s. DO NOT EDIT.\na: 1\n",
            "---\n# @generated SignedSource<<1>>\na: 1\n",
            "# This file is auto-generated.\n# checksum: 12ab\na: 1\n",
            "\u{feff}# Managed by Terraform, do not modify\r\na: 1\r\n",
        ] {
            assert!(generated(text).is_some(), "{text}");
        }
        for text in [
            "a: 1\n# Code generated. DO NOT EDIT.\n",
            "# Generated from the template once; yours to change\na: 1\n",
            "# Managed by Waybill, do not edit\na: 1\n",
            "# Default values\na: 1\n",
            "",
        ] {
            assert_eq!(generated(text), None, "{text}");
        }
    }
}
