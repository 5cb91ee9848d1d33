//! The outside world: Git, Argo CD, registries, and who says who people are. Each is a trait that speaks the domain's words and one client behind it;
//! what goes over the wire stays private to its folder.

pub mod argocd;
pub mod git;
pub mod oidc;
pub mod registry;
