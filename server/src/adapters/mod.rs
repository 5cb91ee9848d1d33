//! The outside world: Git, Argo CD, registries, and who says who people are. Each is one client behind a port (`ports`); what goes over the
//! wire stays private to its folder. And what is sent to addresses that people typed, and by e-mail. `measured` counts and times what goes
//! through the ports.

pub mod argocd;
pub mod git;
pub mod guard;
pub mod mail;
pub(crate) mod measured;
pub mod notifier;
pub mod oidc;
pub mod outbound;
pub mod registry;
pub mod system;
