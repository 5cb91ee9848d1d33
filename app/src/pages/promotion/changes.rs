//! What is in a promotion: the commits between the image before and the new one.
//!
//! The page never waits for them: a script reads them once the page is there; without one, a link renders the page with them.

use crate::{
    api::{promotion::PromotionView, source},
    components::{image_change::is_web, time::Ago},
    live::{self, Read},
};
use contract::error::AppError;
use domain::{
    source::{Changes, Commits, SourceChanges, SourceCommit, Unknown},
    time::Timestamp,
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

/// The word in the address that has them rendered with the page.
const WITH_THE_PAGE: &str = "commits";
/// Commits that are shown at once; the others are folded.
const AT_ONCE: usize = 10;

/// What was read of a promotion's commits, with the page or after it.
#[derive(Clone, Copy)]
pub(super) struct ReadChanges {
    with_page: Read<Option<SourceChanges>>,
    later: RwSignal<Option<Result<SourceChanges, AppError>>>,
}

impl ReadChanges {
    /// Has the page that is drawn with them wait for them; in the browser nothing waits.
    pub(super) fn wait(self) {
        let _ = self.with_page.get();
    }
}

/// Reads them: on the server only when the address says so.
pub(super) fn read(id: Memo<String>) -> ReadChanges {
    let query = use_query_map();
    let is_asked = cfg!(feature = "ssr") && query.with_untracked(|query| query.get(WITH_THE_PAGE).is_some());
    let with_page = live::read_once(
        move || id.get(),
        move |id| async move {
            match is_asked {
                true => source::changes(id).await.map(Some),
                false => Ok(None),
            }
        },
    );
    let later = RwSignal::new(None);
    Effect::new(move |_| {
        let id_now = id.get();
        later.set(None);
        spawn_local(async move {
            let read = source::changes(id_now.clone()).await;
            if id.try_get_untracked() == Some(id_now) {
                later.try_set(Some(read));
            }
        });
    });
    ReadChanges { with_page, later }
}

/// The section of the page.
pub(super) fn section(view: Signal<PromotionView>, read: ReadChanges, now: Signal<Timestamp>) -> AnyView {
    let before = Memo::new(move |_| view.with(|view| view.previous.is_some()));
    let id = Memo::new(move |_| view.with(|view| view.id.to_string()));
    let known = move || match read.later.get() {
        Some(read) => Some(read),
        None => match read.with_page.get() {
            Some(Ok(Some(changes))) => Some(Ok(changes)),
            Some(Err(error)) => Some(Err(error)),
            _ => None,
        },
    };
    view! {
        {move || {
            if !before.get() {
                return None;
            }
            let body = match known() {
                Some(Ok(changes)) if is_nothing(&changes) => return None,
                Some(Ok(changes)) => shown(&changes, now),
                Some(Err(error)) => view! { <p class="muted">{error.to_string()}</p> }.into_any(),
                None => {
                    let link = format!("/promotions/{}?{WITH_THE_PAGE}", id.get());
                    view! {
                        <p class="muted needs-script">"Reading the commits…"</p>
                        <p class="needs-no-script">
                            <a href=link>"Show the commits"</a>
                        </p>
                    }
                    .into_any()
                }
            };
            Some(
                view! {
                    <section class="stack tight" aria-labelledby="commits">
                        <h2 id="commits">"Source commits"</h2>
                        {body}
                    </section>
                },
            )
        }}
    }
    .into_any()
}

/// Whether there is nothing to show: the host isn't listed, and the addresses of its pages aren't known.
fn is_nothing(changes: &SourceChanges) -> bool {
    let is_silent = matches!(
        &changes.changes,
        Changes::Unknown {
            why: Unknown::NothingBefore | Unknown::NotListed { .. }
        }
    );
    is_silent && changes.compare.is_none()
}

fn shown(of: &SourceChanges, now: Signal<Timestamp>) -> AnyView {
    let compare = of.compare.clone().filter(|url| is_web(url)).map(|url| {
        let repository = of.repository.clone().unwrap_or_default();
        view! {
            <p>
                <a href=url rel="noreferrer">
                    {format!("Compare in {repository}")}
                </a>
            </p>
        }
    });
    let sentence = match &of.changes {
        // The link says all there is to say here.
        Changes::Unknown {
            why: Unknown::NotListed { .. },
        } => None,
        _ => Some(view! { <p>{of.sentence()}</p> }),
    };
    let commits = match &of.changes {
        Changes::Known { commits, .. } => list(commits, now),
        Changes::BothWays { new, gone, .. } => view! {
            {titled(format!("New: {}", new.words()), new, now)}
            {titled(format!("No longer included: {}", gone.words()), gone, now)}
        }
        .into_any(),
        Changes::Same | Changes::Unknown { .. } => ().into_any(),
    };
    view! {
        {sentence}
        {commits}
        {compare}
    }
    .into_any()
}

fn titled(title: String, commits: &Commits, now: Signal<Timestamp>) -> Option<AnyView> {
    (!commits.commits.is_empty()).then(|| {
        view! {
            <h3>{title}</h3>
            {list(commits, now)}
        }
        .into_any()
    })
}

fn list(of: &Commits, now: Signal<Timestamp>) -> AnyView {
    let rows = |commits: &[SourceCommit]| {
        let rows = commits.iter().map(|commit| row(commit, now)).collect_view();
        view! { <ul class="plain commits">{rows}</ul> }
    };
    let (first, others) = of.commits.split_at(of.commits.len().min(AT_ONCE));
    let words = match of.has_more {
        true => format!("The {} before these. There are more.", others.len()),
        false => format!("The {} before these", others.len()),
    };
    let others = (!others.is_empty()).then(|| {
        view! {
            <details>
                <summary>{words}</summary>
                {rows(others)}
            </details>
        }
    });
    view! { {rows(first)} {others} }.into_any()
}

fn row(commit: &SourceCommit, now: Signal<Timestamp>) -> AnyView {
    let short = commit.id.short().to_owned();
    let whole = commit.id.as_str().to_owned();
    let name = match commit.url.clone().filter(|url| is_web(url)) {
        Some(url) => view! {
            <a class="mono" href=url rel="noreferrer" title=whole>
                {short}
            </a>
        }
        .into_any(),
        None => view! {
            <code class="mono" title=whole>
                {short}
            </code>
        }
        .into_any(),
    };
    view! {
        <li>
            {name} <span class="break">{commit.subject.clone()}</span>
            <span class="muted small">{commit.author.clone()} ", " <Ago at=commit.at now /></span>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_host_shows_a_link_or_nothing() {
        let of = |compare: Option<&str>, why| SourceChanges {
            repository: None,
            folder: None,
            before: None,
            after: None,
            compare: compare.map(str::to_owned),
            changes: Changes::Unknown { why },
        };
        let not_listed = || Unknown::NotListed {
            host: "git.example".into(),
        };
        assert!(is_nothing(&of(None, not_listed())));
        assert!(!is_nothing(&of(
            Some("https://github.com/a/b/compare/1...2"),
            not_listed()
        )));
        assert!(!is_nothing(&of(None, Unknown::TooLarge)), "why it is unknown is said");
    }
}
