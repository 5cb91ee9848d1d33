//! Pages whose code comes as a file of its own when it is first needed, so that the board, which people open first and
//! most, doesn't wait for it.
//!
//! The build splits the WebAssembly at these borders (`scripts/build-web`); on the server they are plain calls.

use super::{
    account, activity, artifact, create_resource, environment, environment_images, inbox, invitation, policy, projects,
    promotion, recall, removal, resource, settings, sign_in,
};
use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};

/// [`projects::Projects`], when needed.
pub struct ProjectsPage;

#[lazy_route]
impl LazyRoute for ProjectsPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <projects::Projects /> }.into_any()
    }
}

/// [`activity::Activity`], when needed.
pub struct ActivityPage;

#[lazy_route]
impl LazyRoute for ActivityPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <activity::Activity /> }.into_any()
    }
}

/// [`sign_in::SignIn`], when needed.
pub struct SignInPage;

#[lazy_route]
impl LazyRoute for SignInPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <sign_in::SignIn /> }.into_any()
    }
}

/// [`inbox::Inbox`], when needed.
pub struct InboxPage;

#[lazy_route]
impl LazyRoute for InboxPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <inbox::Inbox /> }.into_any()
    }
}

/// [`policy::PolicyPage`], when needed.
pub struct EnvironmentPolicyPage;

#[lazy_route]
impl LazyRoute for EnvironmentPolicyPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <policy::PolicyPage /> }.into_any()
    }
}

/// [`environment_images::EnvironmentImages`], when needed.
pub struct EnvironmentImagesPage;

#[lazy_route]
impl LazyRoute for EnvironmentImagesPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <environment_images::EnvironmentImages /> }.into_any()
    }
}

/// [`environment::Environment`], when needed.
pub struct EnvironmentPage;

#[lazy_route]
impl LazyRoute for EnvironmentPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <environment::Environment /> }.into_any()
    }
}

/// [`create_resource::CreateResource`], when needed.
pub struct CreateResourcePage;

#[lazy_route]
impl LazyRoute for CreateResourcePage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <create_resource::CreateResource /> }.into_any()
    }
}

/// [`resource::ResourcePage`], when needed.
pub struct OneResourcePage;

#[lazy_route]
impl LazyRoute for OneResourcePage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <resource::ResourcePage /> }.into_any()
    }
}

/// [`promotion::PromotionPage`], when needed.
pub struct OnePromotionPage;

#[lazy_route]
impl LazyRoute for OnePromotionPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <promotion::PromotionPage /> }.into_any()
    }
}

/// [`artifact::ArtifactPage`], when needed.
pub struct OneArtifactPage;

#[lazy_route]
impl LazyRoute for OneArtifactPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <artifact::ArtifactPage /> }.into_any()
    }
}

/// [`recall::RecallPage`], when needed.
pub struct OneRecallPage;

#[lazy_route]
impl LazyRoute for OneRecallPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <recall::RecallPage /> }.into_any()
    }
}

/// [`removal::RemovalPage`], when needed.
pub struct DeletePage;

#[lazy_route]
impl LazyRoute for DeletePage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <removal::RemovalPage /> }.into_any()
    }
}

/// [`settings::Settings`], when needed.
pub struct SettingsPage;

#[lazy_route]
impl LazyRoute for SettingsPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <settings::Settings /> }.into_any()
    }
}

/// [`account::Account`], when needed.
pub struct AccountPage;

#[lazy_route]
impl LazyRoute for AccountPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <account::Account /> }.into_any()
    }
}

/// [`invitation::Invitation`], when needed.
pub struct InvitationPage;

#[lazy_route]
impl LazyRoute for InvitationPage {
    fn data() -> Self {
        Self
    }

    fn view(_this: Self) -> AnyView {
        view! { <invitation::Invitation /> }.into_any()
    }
}
