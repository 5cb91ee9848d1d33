//! The outside world: Git, Argo CD, registries. Each is a trait that speaks the domain's words and one client behind it;
//! what goes over the wire stays private to its folder.

pub mod argocd;
pub mod git;
pub mod registry;
