//! Around every page for people who are signed in: rail, breadcrumb, main.

use crate::{
    api::{
        inbox::inbox_count,
        project::{ProjectView, projects},
        session::{Me, me},
    },
    components::{icon::icon, live_status::LiveStatus},
    held::{self, Held},
    live::{self, Live, Read},
};
use domain::rights::Role;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wasm_bindgen::JsCast;

/// A step of the breadcrumb; the last is the page itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crumb {
    /// What it is called.
    pub text: String,
    /// Where it leads.
    pub href: String,
}

impl Crumb {
    /// A step.
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            href: href.into(),
        }
    }
}

/// What the rail shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct RailView {
    me: Me,
    projects: Vec<ProjectView>,
}

/// The rail's reading, one for all pages; `None` when nobody is signed in.
#[derive(Clone, Copy)]
struct Rail {
    read: Resource<Option<Held>>,
    /// What waits for the reader.
    waiting: Read<usize>,
    /// The same, for the window's title: written when it is there.
    count: RwSignal<usize>,
    /// Whether a page was shown before this one, without loading the document again.
    moved: StoredValue<bool>,
}

/// Puts the rail's reading into context, for all frames.
pub(crate) fn provide_rail() {
    let fetch = || -> held::Fetching {
        Box::pin(async {
            // Without it there is no rail; the page says what is wrong.
            let me = me().await.ok()??;
            let projects = projects().await.ok()?;
            Some(Held::new(RailView { me, projects }))
        })
    };
    let read = held::read_once(Arc::new(fetch), false);
    let waiting = live::read(|| (), |()| inbox_count(), |(), change| change.promotion.is_some());
    provide_context(Rail {
        read,
        waiting,
        count: RwSignal::new(0),
        moved: StoredValue::new(false),
    });
}

/// Reads again what the rail shows, once `moved` says that something it leads to is new, or gone.
pub(crate) fn refresh_rail_when(moved: impl Fn() -> bool + 'static) {
    let rail = use_context::<Rail>();
    Effect::new(move |_| {
        if let Some(rail) = rail.filter(|_| moved()) {
            rail.read.refetch();
        }
    });
}

/// The frame of a page. Its children may read resources: they stand in a `Transition`.
#[component]
pub fn Frame(
    /// The page's name, for the window's title.
    #[prop(into)]
    title: Signal<String>,
    /// Where the page stands.
    #[prop(into)]
    crumbs: Signal<Vec<Crumb>>,
    /// Whether it may be wider than text should be: the board.
    #[prop(optional)]
    wide: bool,
    /// The page.
    children: Children,
) -> AnyView {
    let live = use_context::<Live>();
    let rail = use_context::<Rail>();
    let main = NodeRef::<leptos::html::Main>::new();
    // On the server the document's head is written last, when what the page is made of may be gone already: the title
    // as it was when the page was rendered does then.
    let last = ArcStoredValue::new(title.get_untracked());
    let seen = last.clone();
    Effect::new(move |_| {
        if let Some(live) = live {
            live.start();
        }
        // Readers of the screen hear of a new page; without a script the browser does this by itself.
        if let (Some(rail), Some(main)) = (rail, main.get()) {
            if rail.moved.get_value() {
                let _ = main.focus();
            }
            rail.moved.set_value(true);
        }
    });
    view! {
        <Title text=move || {
            let count = rail.and_then(|rail| rail.count.try_get()).unwrap_or_default();
            let count = if count == 0 { String::new() } else { format!("({count}) ") };
            in_head(&format!("{count}{} · Waybill", title.try_get().unwrap_or_else(|| last.get_value())))
        } />
        <a class="skip" href="#main" rel="external">
            "Skip to content"
        </a>
        <div class=if wide { "frame wide" } else { "frame" }>
            <header class="rail">
                {brand()} {rail_waiting(rail)}
            </header>
            <details class="menu">
                <summary>{brand_words()} {icon("menu")}<span class="visually-hidden">"Menu"</span></summary>
                <div class="inside">{rail_waiting(rail)}</div>
            </details>
            <main id="main" tabindex="-1" node_ref=main>
                <div class="crumbs">
                    <nav aria-label="Breadcrumb">
                        // Crumbs may be named by what the page reads.
                        <Transition>
                            <ol>{move || trail(crumbs.get())}</ol>
                        </Transition>
                    </nav>
                    <LiveStatus />
                </div>
                {waiting(Box::new(move || {
                    view! {
                        {children()}
                        {move || seen.set_value(title.get())}
                    }
                        .into_any()
                }))}
            </main>
        </div>
    }
    .into_any()
}

/// What reads resources: shown when they are there, and kept while they are read again.
#[must_use]
pub fn waiting(children: Children) -> AnyView {
    view! {
        <Transition fallback=|| {
            view! { <p class="muted">"Reading…"</p> }
        }>{children()}</Transition>
    }
    .into_any()
}

fn rail_waiting(rail: Option<Rail>) -> AnyView {
    waiting(Box::new(move || (move || rail.map(inside)).into_any()))
}

/// A count, where there is something to count.
fn count(count: usize) -> Option<AnyView> {
    (count > 0).then(|| view! { <span class="count">{count}</span> }.into_any())
}

fn brand() -> AnyView {
    view! {
        <a class="brand" href="/">
            {brand_words()}
        </a>
    }
    .into_any()
}

fn brand_words() -> AnyView {
    view! { <span class="brand">{icon("waybill")} "Waybill"</span> }.into_any()
}

fn trail(crumbs: Vec<Crumb>) -> Vec<AnyView> {
    let last = crumbs.len().saturating_sub(1);
    crumbs
        .into_iter()
        .enumerate()
        .map(|(i, crumb)| {
            let here = (i == last).then_some("page");
            view! {
                <li>
                    <a href=crumb.href aria-current=here>
                        {crumb.text}
                    </a>
                </li>
            }
            .into_any()
        })
        .collect()
}

fn inside(rail: Rail) -> AnyView {
    match rail.read.get().flatten().and_then(|held| held.get()) {
        Some(view) => rail_view(view, rail),
        None => ().into_any(),
    }
}

/// How many promotions wait for the reader.
fn waiting_count(rail: Rail) -> usize {
    let count = rail.waiting.get().and_then(Result::ok).unwrap_or_default();
    if rail.count.get_untracked() != count {
        rail.count.set(count);
    }
    count
}

fn rail_view(RailView { me, projects }: RailView, rail: Rail) -> AnyView {
    let path = use_location().pathname;
    let link = move |href: String, icon_name: &'static str, text: AnyView| {
        let here = {
            let href = href.clone();
            move || {
                let path = path.get();
                let inside = path.strip_prefix(&href).is_some_and(|rest| rest.starts_with('/'));
                if path == href {
                    Some("page")
                } else {
                    (href != "/" && inside).then_some("true")
                }
            }
        };
        view! {
            <li>
                <a href=href aria-current=here>
                    {icon(icon_name)} <span class="truncate">{text}</span>
                </a>
            </li>
        }
        .into_any()
    };
    let groups: Vec<AnyView> = me
        .workspaces
        .iter()
        .map(|(workspace, role)| {
            let settings = (*role == Role::Admin)
                .then(|| link(format!("/w/{workspace}/-/settings"), "settings", "Settings".into_any()));
            let boards: Vec<AnyView> = projects
                .iter()
                .filter(|project| project.workspace == *workspace)
                .map(|project| {
                    link(
                        format!("/w/{workspace}/{}", project.name),
                        "board",
                        project.name.to_string().into_any(),
                    )
                })
                .collect();
            view! {
                <section>
                    <p class="group">{workspace.to_string()}</p>
                    <ul>
                        {boards}
                        {link(format!("/w/{workspace}/-/activity"), "activity", "Activity".into_any())} {settings}
                    </ul>
                </section>
            }
            .into_any()
        })
        .collect();
    view! {
        <nav class="rail-nav" aria-label="Main">
            <ul>
                {link("/inbox".into(), "inbox", view! { "Inbox" {move || count(waiting_count(rail))} }.into_any())}
                {link("/".into(), "projects", "Projects".into_any())}
            </ul>
            {groups}
        </nav>
        <div class="rail-foot">
            <a class="who" href="/account">
                <span class="truncate">{me.name}</span>
                <span class="truncate muted">{me.email}</span>
            </a>
            <div class="row">
                {theme_switch()} <form method="post" action="/sign-out">
                    <button class="button plain small">{icon("out")} "Sign out"</button>
                </form>
            </div>
        </div>
    }
    .into_any()
}

/// Light, dark or as the system says. The server keeps it in a cookie and leads back; with a script it happens in place,
/// so that nothing typed is lost.
#[must_use]
pub fn theme_switch() -> AnyView {
    let choice = |value: &'static str, name: &'static str| {
        view! {
            <button name="theme" value=value aria-label=name title=name>
                {icon(value)}
            </button>
        }
        .into_any()
    };
    let in_place = |event: leptos::ev::SubmitEvent| {
        let pressed = event
            .submitter()
            .and_then(|button| button.dyn_into::<web_sys::HtmlButtonElement>().ok());
        if let (Some(pressed), Some(root)) = (pressed, document().document_element())
            && let Ok(body) = web_sys::UrlSearchParams::new()
            && {
                body.append("theme", &pressed.value());
                window()
                    .navigator()
                    .send_beacon_with_opt_url_search_params("/theme", Some(&body))
                    .unwrap_or(false)
            }
        {
            event.prevent_default();
            let theme = pressed.value();
            let _ = root.set_attribute("data-theme", if theme == "system" { "" } else { &theme });
        }
    };
    view! {
        <form class="theme" method="post" action="/theme" aria-label="Theme" on:submit=in_place>
            {choice("light", "Light theme")}
            {choice("dark", "Dark theme")}
            {choice("system", "Theme of the system")}
        </form>
    }
    .into_any()
}

/// A title as `leptos_meta` wants it: the server writes it into the document as it is, and it may hold a name from the
/// address; the browser sets it as text.
fn in_head(title: &str) -> String {
    if cfg!(feature = "ssr") {
        title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    } else {
        title.to_owned()
    }
}
