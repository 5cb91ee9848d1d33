//! What an Application deploys: which of its sources read what a promotion commits, and whether they follow our branch.

use serde::{Deserialize, Serialize};

/// A source of an Application.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppSource {
    /// Address of the repository.
    pub repository: String,
    /// The branch, tag or commit that it follows; empty for the default branch.
    pub revision: String,
    /// The folder in it, from its root; empty for the root, or for a source that is only referred to.
    #[serde(default)]
    pub path: String,
    /// Whether it is a chart of a Helm repository: then nothing of it is in Git.
    #[serde(default)]
    pub chart: bool,
    /// The name by which value files of other sources refer to it: `values` of `$values/production.yaml`.
    #[serde(default)]
    pub reference: String,
    /// Its value files, as they are written: from its folder, `/` for the root of the repository, `$NAME/` for another source's.
    #[serde(default)]
    pub value_files: Vec<String>,
}

/// Where a promotion's commit goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed<'a> {
    /// Address of the repository.
    pub repository: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// The files that it changes, from the repository's root.
    pub files: &'a [String],
}

/// Which sources of an Application must contain a commit, by their position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readers {
    /// Each of these reads a changed file.
    These(Vec<usize>),
    /// These are of the repository, and it can't be told which of them reads the file: one of them will do.
    AnyOf(Vec<usize>),
    /// No source is known to be of the repository; it may have another name there.
    Unknown,
}

/// Whether a source follows the branch that is committed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follows {
    /// It does.
    Branch,
    /// It follows the default branch, whichever that is.
    Default,
    /// It follows something else.
    Other,
}

/// How `source` relates to `branch`.
#[must_use]
pub fn follows(revision: &str, branch: &str) -> Follows {
    let plain = |text: &str| text.strip_prefix("refs/heads/").unwrap_or(text).to_owned();
    match plain(revision).as_str() {
        "" | "HEAD" => Follows::Default,
        revision if revision == plain(branch) => Follows::Branch,
        _ => Follows::Other,
    }
}

/// Which of `sources` read what was committed.
#[must_use]
pub fn readers(sources: &[AppSource], committed: Committed<'_>) -> Readers {
    let wanted = address(committed.repository);
    let last = |address: &str| address.rsplit('/').next().unwrap_or_default().to_owned();
    let of = |is_ours: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let ours = |source: &AppSource| !source.chart && is_ours(&address(&source.repository));
        (0..sources.len())
            .filter(|at| sources.get(*at).is_some_and(ours))
            .collect()
    };
    let mut ours = of(&|address| address == wanted);
    // Servers have several names, one inside and one outside; repositories keep theirs.
    if ours.is_empty() {
        ours = of(&|address| last(address) == last(&wanted));
    }
    if ours.is_empty() {
        return Readers::Unknown;
    }
    let reads = |at: &usize| {
        let Some(source) = sources.get(*at) else { return false };
        committed.files.iter().any(|file| reads(sources, source, file))
    };
    let certain: Vec<usize> = ours.iter().copied().filter(reads).collect();
    match certain.is_empty() {
        true => Readers::AnyOf(ours),
        false => Readers::These(certain),
    }
}

/// What those who read the commit follow instead of the branch: what is committed there would never run. `None` while nothing says so.
#[must_use]
pub fn other_branch<'a>(sources: &'a [AppSource], committed: Committed<'_>) -> Option<&'a str> {
    let elsewhere = |at: &usize| {
        let revision = sources.get(*at)?.revision.as_str();
        (follows(revision, committed.branch) == Follows::Other).then_some(revision)
    };
    match readers(sources, committed) {
        Readers::These(readers) => readers.iter().find_map(elsewhere),
        Readers::AnyOf(readers) => {
            let other: Vec<&str> = readers.iter().filter_map(elsewhere).collect();
            (other.len() == readers.len()).then(|| other.first().copied())?
        }
        Readers::Unknown => None,
    }
}

/// The sentence for [`other_branch`], without what to do.
#[must_use]
pub fn other_branch_words(app: &str, revision: &str, branch: &str) -> String {
    format!("The application {app} follows `{revision}`, but Waybill commits to `{branch}`.")
}

/// What to do about it.
#[must_use]
pub fn other_branch_remedy(branch: &str) -> String {
    format!("Set the application's targetRevision to `{branch}`, or give the project the branch that it follows.")
}

/// Whether a file of the repository is read by `source`: it lies in its folder, or is one of somebody's value files.
fn reads(sources: &[AppSource], source: &AppSource, file: &str) -> bool {
    let folder = source.path.trim_matches('/');
    let folder = folder.strip_prefix("./").unwrap_or(folder);
    let is_only_referred_to = folder.is_empty() && !source.reference.is_empty();
    let lies_inside = match folder {
        "" | "." => !is_only_referred_to,
        folder => file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
    };
    let by_itself = source
        .value_files
        .iter()
        .filter(|written| !written.starts_with('$'))
        .any(|written| names(folder, written, file));
    let prefix = format!("${}/", source.reference);
    let by_others = !source.reference.is_empty()
        && sources
            .iter()
            .flat_map(|other| &other.value_files)
            .filter_map(|written| written.strip_prefix(&prefix))
            .any(|written| names("", written, file));
    lies_inside || by_itself || by_others
}

/// Whether a value file, written from `folder`, is `file`. A pattern may be any file.
fn names(folder: &str, written: &str, file: &str) -> bool {
    if written.contains("://") {
        return false;
    }
    let (mut parts, written) = match written.strip_prefix('/') {
        Some(from_root) => (Vec::new(), from_root),
        None => (folder.split('/').filter(|part| !part.is_empty()).collect(), written),
    };
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let fixed = parts.iter().take_while(|part| !part.contains(['*', '?', '['])).count();
    match fixed == parts.len() {
        true => parts.join("/") == file,
        false => {
            let begin: String = parts.iter().take(fixed).flat_map(|part| [*part, "/"]).collect();
            file.starts_with(&begin)
        }
    }
}

/// Host and path, however the address is written.
#[must_use]
pub fn address(url: &str) -> String {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        None => url.replacen(':', "/", 1),
    };
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.trim_matches('/');
    format!("{host}/{}", path.strip_suffix(".git").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: &str = "https://git.example.com/team/deploy.git";

    fn source(path: &str, revision: &str) -> AppSource {
        AppSource {
            repository: REPOSITORY.into(),
            revision: revision.into(),
            path: path.into(),
            ..AppSource::default()
        }
    }

    fn of(sources: &[AppSource]) -> (Readers, Option<&str>) {
        let files = ["environments/production/values.yaml".to_owned()];
        let committed = Committed {
            repository: "git@git.example.com:team/deploy.git",
            branch: "main",
            files: &files,
        };
        (readers(sources, committed), other_branch(sources, committed))
    }

    #[test]
    fn a_single_source_reads_its_folder_and_its_value_files() {
        for (path, value_file) in [
            ("environments/production", ""),
            (".", ""),
            ("", ""),
            ("charts/app", "../../environments/production/values.yaml"),
            ("charts/app", "/environments/production/values.yaml"),
            ("charts/app", "../../environments/*/values.yaml"),
        ] {
            let mut one = source(path, "main");
            one.value_files.push(value_file.into());
            assert_eq!(of(&[one]), (Readers::These(vec![0]), None), "{path} {value_file}");
        }
        let unsure = source("charts/app", "main");
        assert_eq!(of(&[unsure]), (Readers::AnyOf(vec![0]), None));
        let staging = source("environments/production-eu", "main");
        assert_eq!(
            of(&[staging]),
            (Readers::AnyOf(vec![0]), None),
            "a name that only begins so"
        );
    }

    #[test]
    fn of_several_the_one_that_is_referred_to_reads_the_file() {
        let chart = AppSource {
            repository: "https://charts.example.com".into(),
            chart: true,
            revision: "1.2.3".into(),
            value_files: vec!["$values/environments/production/values.yaml".into()],
            ..AppSource::default()
        };
        let mut values = source("", "main");
        values.reference = "values".into();
        let extra = source("extra", "v1.0.0");
        assert_eq!(
            of(&[chart.clone(), values.clone(), extra.clone()]),
            (Readers::These(vec![1]), None)
        );
        values.revision = "release".into();
        assert_eq!(of(&[chart, values, extra]).1, Some("release"));
    }

    #[test]
    fn another_branch_a_tag_or_a_commit_is_not_ours_and_the_default_may_be() {
        for revision in ["release", "v1.2.3", "3f1c0d9e4b7a2c5d8e6f9a0b1c2d3e4f5a6b7c8d"] {
            assert_eq!(of(&[source(".", revision)]).1, Some(revision));
        }
        for revision in ["", "HEAD", "main", "refs/heads/main"] {
            assert_eq!(of(&[source(".", revision)]).1, None, "{revision}");
        }
        // Which of them reads the file can't be told: one that follows ours is enough.
        let unsure = [source("a", "release"), source("b", "main")];
        assert_eq!(of(&unsure), (Readers::AnyOf(vec![0, 1]), None));
        let mut inside = source(".", "release");
        inside.repository = "http://git.internal/deploy".into();
        assert_eq!(of(&[inside]).1, Some("release"), "the same by another name");
        let mut elsewhere = source(".", "release");
        elsewhere.repository = "https://git.example.com/team/other.git".into();
        assert_eq!(of(&[elsewhere]), (Readers::Unknown, None));
    }

    #[test]
    fn a_value_file_from_elsewhere_or_of_another_name_is_not_ours() {
        let reads = |value_file: &str| {
            let mut one = source("charts/app", "main");
            one.value_files = vec![value_file.into()];
            of(&[one]).0
        };
        let ours = Readers::These(vec![0]);
        assert_eq!(reads("/environments/production/values.yaml"), ours);
        for other in [
            "https://example.com/environments/production/values.yaml",
            "/environments/staging/values.yaml",
            "/environments/staging/*.yaml",
            "/environments/production/values.yaml.bak",
        ] {
            assert_eq!(reads(other), Readers::AnyOf(vec![0]), "{other}");
        }
        // Only a source with a name can be referred to.
        let mut named = source("charts/other", "main");
        named.value_files = vec!["$/environments/production/values.yaml".into()];
        assert_eq!(of(&[named, source("extra", "main")]).0, Readers::AnyOf(vec![0, 1]));
    }

    #[test]
    fn a_source_that_others_refer_to_reads_only_what_they_name() {
        let chart = |file: &str| AppSource {
            repository: "https://charts.example.com".into(),
            chart: true,
            value_files: vec![format!("$values/{file}")],
            ..AppSource::default()
        };
        let mut values = source("", "main");
        values.reference = "values".into();
        let named = of(&[chart("environments/production/values.yaml"), values.clone()]).0;
        assert_eq!(named, Readers::These(vec![1]));
        let other = of(&[chart("environments/staging/values.yaml"), values]).0;
        assert_eq!(other, Readers::AnyOf(vec![1]));
    }
}
