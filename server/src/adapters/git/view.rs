//! What a branch says, what an edit of it would change, and commits as people see them.

use git2::{DiffFormat, DiffOptions, ErrorCode, Oid, Tree};

use super::{
    CommitView, DeclaredService, Difference, PlaceEdit,
    edit::{self, Outlines},
    fault::LocalError,
    files::Files,
    history,
    pack::Objects,
    reader::Reader,
    values,
};

/// Larger diffs are cut: nobody reads them.
const LARGEST_DIFF: usize = 512 * 1024;

/// The bytes of the file at `path` in `commit`; `None` when there is none.
pub(super) fn read_file(reader: &Reader<'_>, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, LocalError> {
    let mut files = Files::of(reader, Some(commit))?;
    Ok(files.read(path)?.map(|file| file.text.clone()))
}

/// What the file at `path` declares in `commit`; `None` when there is no such file.
pub(super) fn services(
    reader: &Reader<'_>,
    commit: Oid,
    path: &str,
    prefix: &str,
) -> Result<Option<Vec<DeclaredService>>, LocalError> {
    let Some(bytes) = read_file(reader, commit, path)? else {
        return Ok(None);
    };
    let mut services = values::services(&bytes, prefix).map_err(|error| LocalError::Values {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    for service in &mut services {
        // Who is told of it may see many files.
        service.image.unclear = service.image.unclear.take().map(|why| format!("{path}, {why}"));
    }
    Ok(Some(services))
}

/// The unified diff between two trees.
fn diff(reader: &Reader<'_>, old: Option<&Tree<'_>>, new: Option<&Tree<'_>>) -> Result<String, LocalError> {
    reader.check_difference(old.map(Tree::id), new.map(Tree::id))?;
    let mut options = DiffOptions::new();
    // Larger files are told as binary ones, and not read.
    options.context_lines(3).max_size(values::LARGEST as i64);
    let diff = reader.repository().diff_tree_to_tree(old, new, Some(&mut options))?;
    let mut text = Vec::new();
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.extend(line.origin().to_string().bytes());
        }
        text.extend_from_slice(line.content());
        text.len() < LARGEST_DIFF
    });
    match printed {
        Err(error) if error.code() != ErrorCode::User => return Err(error.into()),
        Err(_) => text.extend_from_slice(b"\n... the rest is left out\n"),
        Ok(()) => {}
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What `edits` would change on `tip`.
pub(super) fn preview(reader: &Reader<'_>, tip: Option<Oid>, edits: &[PlaceEdit]) -> Result<Difference, LocalError> {
    let mut files = Files::of(reader, tip)?;
    let edited = edit::edit(&mut files, &mut Outlines::default(), edits)?;
    if edited.is_empty() {
        return Ok(Difference::default());
    }
    let creates_file = edited.iter().any(|file| file.is_new);
    let mut objects = Objects::new(false);
    for file in edited {
        files.put(&mut objects, &file.path, file.text)?;
    }
    let new = files.root(&mut objects)?;
    objects.write(reader.repository())?;
    let old = match tip {
        Some(tip) => Some(reader.tree_of(tip)?),
        None => None,
    };
    Ok(Difference {
        text: diff(reader, old.as_ref(), Some(&reader.tree(new)?))?,
        creates_file,
    })
}

/// A commit as people see it; `None` when the mirror lacks it.
pub(super) fn show(reader: &Reader<'_>, commit: Oid) -> Result<Option<CommitView>, LocalError> {
    let Some(commit) = reader.find_commit(commit)? else {
        return Ok(None);
    };
    let parent = match commit.parent_ids().next() {
        None => None,
        Some(parent) => Some(reader.tree_of(parent)?),
    };
    let diff = match diff(reader, parent.as_ref(), Some(&reader.tree(commit.tree_id())?)) {
        // The rest of it can be shown.
        Err(LocalError::TooLarge(reason)) => format!("The difference is not shown: {reason}.\n"),
        diff => diff?,
    };
    let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
    let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
    Ok(Some(CommitView {
        commit: commit.id().to_string(),
        promotion: history::trailer(commit.message_bytes()),
        subject,
        author,
        at: commit.time().seconds(),
        diff,
    }))
}

/// Whether `descendant` is `ancestor` or comes after it; `None` when the mirror lacks one of them.
pub(super) fn contains(reader: &Reader<'_>, descendant: Oid, ancestor: Oid) -> Result<Option<bool>, LocalError> {
    if !reader.has(descendant) || !reader.has(ancestor) {
        return Ok(None);
    }
    reader.descends(descendant, ancestor).map(Some)
}
