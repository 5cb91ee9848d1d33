//! The route table, nothing else.
//!
//! Every page is rendered whole before it is sent (`SsrMode::Async`): statuses are right, and it needs no script.

use crate::{
    components::{digest_chip::listen_for_copies, frame::provide_rail},
    live::Live,
    pages::{self, lazy},
};
use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    Lazy,
    SsrMode::Async,
    components::{FlatRoutes, Route, Router},
    path,
};

/// All of it.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_context(Live::new());
    provide_rail();
    listen_for_copies();
    let (routing, set_routing) = signal(false);
    view! {
        <Router set_is_routing=set_routing>
            <Show when=move || routing.get()>
                <div class="progress" role="presentation"></div>
            </Show>
            <FlatRoutes fallback=pages::not_found::NotFound>
                <Route path=path!("/") view={Lazy::<lazy::ProjectsPage>::new()} ssr=Async />
                <Route path=path!("/sign-in") view={Lazy::<lazy::SignInPage>::new()} ssr=Async />
                <Route path=path!("/inbox") view={Lazy::<lazy::InboxPage>::new()} ssr=Async />
                <Route path=path!("/promotions/:id") view={Lazy::<lazy::OnePromotionPage>::new()} ssr=Async />
                // No name is a hyphen: it is no project's board.
                <Route path=path!("/w/:workspace/-/activity") view={Lazy::<lazy::ActivityPage>::new()} ssr=Async />
                <Route
                    path=path!("/w/:workspace/-/artifacts/:digest")
                    view={Lazy::<lazy::OneArtifactPage>::new()}
                    ssr=Async
                />
                <Route path=path!("/account") view={Lazy::<lazy::AccountPage>::new()} ssr=Async />
                <Route path=path!("/invitation") view={Lazy::<lazy::InvitationPage>::new()} ssr=Async />
                // No project can be called `-`.
                <Route path=path!("/w/:workspace/-/settings") view={Lazy::<lazy::SettingsPage>::new()} ssr=Async />
                <Route path=path!("/w/:workspace/-/settings/:section") view={Lazy::<lazy::SettingsPage>::new()} ssr=Async />
                <Route
                    path=path!("/w/:workspace/-/artifacts/:digest/recall")
                    view={Lazy::<lazy::OneRecallPage>::new()}
                    ssr=Async
                />
                <Route path=path!("/w/:workspace/-/delete") view={Lazy::<lazy::DeletePage>::new()} ssr=Async />
                <Route path=path!("/w/:workspace/-/delete/registry/:registry") view={Lazy::<lazy::DeletePage>::new()} ssr=Async />
                <Route path=path!("/w/:workspace/-/delete/cluster/:cluster") view={Lazy::<lazy::DeletePage>::new()} ssr=Async />
                <Route path=path!("/w/:workspace/-/delete/project/:project") view={Lazy::<lazy::DeletePage>::new()} ssr=Async />
                <Route
                    path=path!("/w/:workspace/-/delete/project/:project/:environment")
                    view={Lazy::<lazy::DeletePage>::new()}
                    ssr=Async
                />
                <Route
                    path=path!("/w/:workspace/-/delete/project/:project/:environment/:resource")
                    view={Lazy::<lazy::DeletePage>::new()}
                    ssr=Async
                />
                <Route path=path!("/w/:workspace/:project") view=pages::board::Board ssr=Async />
                <Route path=path!("/w/:workspace/:project/:environment") view={Lazy::<lazy::EnvironmentPage>::new()} ssr=Async />
                <Route
                    path=path!("/w/:workspace/:project/:environment/-/new")
                    view={Lazy::<lazy::CreateResourcePage>::new()}
                    ssr=Async
                />
                <Route
                    path=path!("/w/:workspace/:project/:environment/-/images")
                    view={Lazy::<lazy::EnvironmentImagesPage>::new()}
                    ssr=Async
                />
                <Route
                    path=path!("/w/:workspace/:project/:environment/-/policy")
                    view={Lazy::<lazy::EnvironmentPolicyPage>::new()}
                    ssr=Async
                />
                <Route
                    path=path!("/w/:workspace/:project/:environment/:resource")
                    view={Lazy::<lazy::OneResourcePage>::new()}
                    ssr=Async
                />
            </FlatRoutes>
        </Router>
    }
}
