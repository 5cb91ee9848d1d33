//! Repositories whose objects come to far more than what is sent of them. Nothing of that is unpacked in this process, each is refused in words,
//! and the rest of the repository can be worked with.

use super::*;
use flate2::{Compression, write::ZlibEncoder};
use sha1::{Digest as _, Sha1};
use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

const MIB: usize = 1 << 20;

const KIND_BLOB: u8 = 3;

const KIND_DIFFERENCE: u8 = 7;

/// The most memory that this process ever took, in MiB; `None` where the system doesn't tell.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib >> 10)
}

/// Runs git in a repository, with `input`; returns what it prints.
fn git(repository: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut git = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        // Objects are made as they would be somewhere else.
        .args(["-c", "core.bigFileThreshold=512m"])
        .args(arguments)
        .envs([("GIT_AUTHOR_NAME", "Eve"), ("GIT_AUTHOR_EMAIL", "eve@example.com")])
        .envs([
            ("GIT_COMMITTER_NAME", "Eve"),
            ("GIT_COMMITTER_EMAIL", "eve@example.com"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(input).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Puts the branch at a commit of this tree on top of what it is at.
fn commit_tree(setting: &Setting, tree: &str, message: &[u8]) -> String {
    let repository = setting.repo.path();
    let tip = git(repository, &["rev-parse", "refs/heads/main"], b"");
    let commit = git(repository, &["commit-tree", tree, "-p", &tip], message);
    git(repository, &["update-ref", "refs/heads/main", &commit], b"");
    commit
}

/// The tree of the branch, with `blob` at [`PATH`].
fn tree_with(setting: &Setting, blob: &str) -> String {
    let repository = setting.repo.path();
    let nested = |below: String, name: &str| {
        git(
            repository,
            &["mktree"],
            format!("040000 tree {below}\t{name}\n").as_bytes(),
        )
    };
    let file = git(
        repository,
        &["mktree"],
        format!("100644 blob {blob}\tvalues.yaml\n").as_bytes(),
    );
    nested(nested(file, "production"), "environments")
}

/// So many zeros as a file of the repository.
fn zeros(setting: &Setting, size: usize) -> String {
    let path = setting.directory.path().join("zeros");
    File::create(&path).unwrap().set_len(size as u64).unwrap();
    let arguments = [
        "-c",
        "core.bigFileThreshold=1m",
        "hash-object",
        "-w",
        "--no-filters",
        "--",
    ];
    git(
        setting.repo.path(),
        &[&arguments[..], &[path.to_str().unwrap()]].concat(),
        b"",
    )
}

/// The pack with a file of zeros, so large, and a small file, which nobody has yet, that is written as a difference from it; and the small
/// file's name.
fn pack_with_difference(base_size: usize) -> (Vec<u8>, String) {
    let small = format!("# {base_size}\n{VALUES}");
    let chunk = vec![0; MIB];
    let mut hash = Sha1::new();
    hash.update(format!("blob {base_size}\0"));
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x02".to_vec();
    head(&mut pack, KIND_BLOB, base_size);
    let mut encoder = ZlibEncoder::new(pack, Compression::fast());
    for _ in 0..base_size / MIB {
        hash.update(&chunk);
        encoder.write_all(&chunk).unwrap();
    }
    let (mut pack, base) = (encoder.finish().unwrap(), hash.finalize());
    let mut difference = Vec::new();
    for mut size in [base_size, small.len()] {
        while size > 0x7f {
            difference.push((size & 0x7f) as u8 | 0x80);
            size >>= 7;
        }
        difference.push(size as u8);
    }
    for own in small.as_bytes().chunks(0x7f) {
        difference.push(own.len() as u8);
        difference.extend_from_slice(own);
    }
    head(&mut pack, KIND_DIFFERENCE, difference.len());
    pack.extend_from_slice(&base);
    let mut encoder = ZlibEncoder::new(pack, Compression::fast());
    encoder.write_all(&difference).unwrap();
    let mut pack = encoder.finish().unwrap();
    let sum = Sha1::digest(&pack);
    pack.extend_from_slice(&sum);
    let small = git2::Oid::hash_object(git2::ObjectType::Blob, small.as_bytes()).unwrap();
    (pack, small.to_string())
}

fn head(pack: &mut Vec<u8>, kind: u8, mut size: usize) {
    let mut byte = (kind << 4) | (size & 15) as u8;
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    pack.push(byte);
}

async fn services(setting: &Setting) -> Result<usize, GitError> {
    let tip = setting.mirrors.fetch(&setting.access).await?;
    let found = setting.mirrors.services(&setting.access, &tip, PATH, "").await?;
    Ok(found.unwrap_or_default().len())
}

#[tokio::test]
async fn a_file_of_hundreds_of_megabytes_is_refused_before_it_is_unpacked() {
    let setting = Setting::new().await;
    let blob = zeros(&setting, 700 * MIB);
    let commit = commit_tree(&setting, &tree_with(&setting, &blob), b"Large");
    let said = |error: GitError| {
        assert!(
            matches!(&error, GitError::Values { .. }) && !error.is_passing(),
            "{error}"
        );
        let error = error.to_string();
        assert!(
            error.starts_with(PATH) && error.contains("larger than 4 MiB"),
            "{error}"
        );
    };
    said(services(&setting).await.unwrap_err());
    said(setting.commit(&promotion(2, "api")).await.unwrap_err());
    said(
        setting
            .mirrors
            .preview(&setting.access, &promotion(2, "api").edits)
            .await
            .unwrap_err(),
    );
    let shown = setting.mirrors.show(&setting.access, &commit).await.unwrap().unwrap();
    assert!(
        shown.diff.contains("Binary files") && shown.diff.len() < 1_000,
        "{}",
        shown.diff
    );
    let change = setting
        .mirrors
        .last_change(&setting.access, &commit, &commit, &place("api"))
        .await;
    assert_eq!(change.unwrap(), None);
    // Another file of the same repository.
    let mut request = promotion(3, "web");
    request.edits[0].place.path = "other/values.yaml".to_owned();
    pushed(setting.commit(&request).await);
    // A test of the connection has seconds only, in which a smaller one can be received.
    let blob = zeros(&setting, 5 * MIB);
    commit_tree(&setting, &tree_with(&setting, &blob), b"Large");
    let probe = setting
        .mirrors
        .probe(&setting.access, &[PATH.to_owned()], "")
        .await
        .unwrap();
    said(probe.files.into_iter().next().unwrap().unwrap_err());
    // The others of this program took what they took.
    assert!(peak().is_none_or(|peak| peak < 400), "{:?} MiB", peak());
}

#[tokio::test]
async fn a_difference_from_a_large_file_is_refused_before_it_is_unpacked() {
    let setting = Setting::new().await;
    let (pack, small) = pack_with_difference(40 * MIB);
    git(setting.repo.path(), &["index-pack", "--stdin"], &pack);
    // More than a hundred objects, so that they stay in a pack; and the large file beside the small one.
    let mut files = String::new();
    for n in 0..120 {
        let blob = git(
            setting.repo.path(),
            &["hash-object", "-w", "--stdin"],
            format!("{n}").as_bytes(),
        );
        writeln!(files, "100644 blob {blob}\tf{n:03}").unwrap();
    }
    let base = zeros(&setting, 40 * MIB);
    writeln!(files, "100644 blob {base}\tlarge").unwrap();
    let environments = git(setting.repo.path(), &["ls-tree", &tree_with(&setting, &small)], b"");
    let tree = git(
        setting.repo.path(),
        &["mktree"],
        format!("{environments}\n{files}").as_bytes(),
    );
    commit_tree(&setting, &tree, b"Difference");
    let error = services(&setting).await.unwrap_err();
    assert!(matches!(&error, GitError::Values { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("stored as a difference from what is larger than 32 MiB"),
        "{error}"
    );
    // What is known of the pack is known to the next server as well.
    let again = GitMirrors::new(setting.directory.path().join("mirrors"));
    let tip = again.fetch(&setting.access).await.unwrap();
    assert!(again.services(&setting.access, &tip, PATH, "").await.is_err());
    assert_eq!(
        again
            .services(&setting.access, &tip, "f001", "")
            .await
            .unwrap()
            .unwrap()
            .len(),
        0
    );
    // Written anew it is read.
    setting.outsider_writes(PATH, &VALUES.replace("v1", "v2")).await;
    assert_eq!(services(&setting).await.unwrap(), 2);
}

#[tokio::test]
async fn what_needs_too_much_to_be_received_is_not_received() {
    let setting = Setting::new().await;
    assert_eq!(services(&setting).await.unwrap(), 2);
    let good = setting.tip().await;
    let (pack, small) = pack_with_difference(600 * MIB);
    git(setting.repo.path(), &["index-pack", "--stdin"], &pack);
    let large = zeros(&setting, 600 * MIB);
    let environments = git(setting.repo.path(), &["ls-tree", &tree_with(&setting, &small)], b"");
    let files = format!("{environments}\n100644 blob {large}\tlarge\n");
    let tree = git(setting.repo.path(), &["mktree"], files.as_bytes());
    commit_tree(&setting, &tree, b"Difference");
    for _ in 0..2 {
        let error = services(&setting).await.unwrap_err();
        assert!(
            matches!(&error, GitError::TooLarge { .. }) && !error.is_passing(),
            "{error}"
        );
        assert!(error.to_string().contains("more than 512 MiB of memory"), "{error}");
    }
    let left = setting
        .mirror_files()
        .into_iter()
        .filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("tmp_"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "nothing of it is left");
    git(setting.repo.path(), &["update-ref", "refs/heads/main", &good], b"");
    assert_eq!(services(&setting).await.unwrap(), 2);
    pushed(setting.commit(&promotion(2, "api")).await);
}

#[tokio::test]
async fn commits_and_directories_have_a_limit_too() {
    let setting = Setting::new().await;
    assert_eq!(services(&setting).await.unwrap(), 2);
    let good = setting.tip().await;
    let tree = git(setting.repo.path(), &["rev-parse", "refs/heads/main^{tree}"], b"");
    let message = "much to say ".repeat(MIB);
    let long = commit_tree(&setting, &tree, message.as_bytes());
    let too_large = |error: GitError, said: &str| {
        assert!(
            matches!(&error, GitError::TooLarge { .. }) && !error.is_passing(),
            "{error}"
        );
        assert!(error.to_string().contains(said), "{error}");
    };
    let words = format!("commit {long} is larger than 4 MiB");
    too_large(services(&setting).await.unwrap_err(), &words);
    too_large(setting.commit(&promotion(2, "api")).await.unwrap_err(), &words);
    too_large(setting.mirrors.show(&setting.access, &long).await.unwrap_err(), &words);
    too_large(
        setting
            .mirrors
            .contains(&setting.access, &long, &good)
            .await
            .unwrap_err(),
        &words,
    );
    too_large(
        setting
            .mirrors
            .last_change(&setting.access, &good, &long, &place("api"))
            .await
            .unwrap_err(),
        &words,
    );
    // The branch is put right, and with it the mirror.
    git(setting.repo.path(), &["update-ref", "refs/heads/main", &good], b"");
    assert_eq!(services(&setting).await.unwrap(), 2);
    pushed(setting.commit(&promotion(2, "api")).await);

    let blob = git(setting.repo.path(), &["hash-object", "-w", "--stdin"], b"x");
    let environments = git(setting.repo.path(), &["ls-tree", "refs/heads/main"], b"");
    let mut entries = format!("{environments}\n");
    for n in 0..120_000 {
        writeln!(entries, "100644 blob {blob}\tfile-{n:08}").unwrap();
    }
    let wide = git(setting.repo.path(), &["mktree"], entries.as_bytes());
    commit_tree(&setting, &wide, b"Wide");
    let words = format!("directory {wide} is larger than 4 MiB");
    too_large(services(&setting).await.unwrap_err(), &words);
    too_large(setting.commit(&promotion(3, "api")).await.unwrap_err(), &words);
}

/// A commit with a copied trailer can be any commit: what is shown of it is bounded.
#[tokio::test]
async fn a_commit_of_many_files_is_shown_without_them() {
    let setting = Setting::new().await;
    let blob = git(setting.repo.path(), &["hash-object", "-w", "--stdin"], b"x");
    let mut nested = git(
        setting.repo.path(),
        &["mktree"],
        format!("100644 blob {blob}\tx\n").as_bytes(),
    );
    for _ in 0..400 {
        nested = git(
            setting.repo.path(),
            &["mktree"],
            format!("040000 tree {nested}\td\n").as_bytes(),
        );
    }
    let deep = commit_tree(&setting, &nested, b"Deep");
    setting.mirrors.fetch(&setting.access).await.unwrap();
    let shown = setting.mirrors.show(&setting.access, &deep).await.unwrap().unwrap();
    assert_eq!(shown.subject, "Deep");
    assert!(shown.diff.contains("changes more than 300 files"), "{}", shown.diff);
}
