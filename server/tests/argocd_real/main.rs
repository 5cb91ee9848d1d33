//! Waybill's stories against a real Argo CD: `make test-argocd` builds and starts one, and names it in `TEST_ARGOCD`.
//!
//! What Argo CD is told, what Git holds and what Waybill is told are the files of `examples/argocd`, with addresses and names put in; a
//! story says what it has otherwise. Pods are played (`end2end/argocd-real/stack/kubelet.go`), so that a story says what becomes of
//! them; everything else is the real thing.
//!
//! `examples` follows the examples as they stand; `client` looks at what the adapter makes of real answers; `pods` is about who counts
//! as live, `kinds` about what else than Deployments runs; `syncs` about what stands between a commit and its rollout; `parts` about what restarts; `namespaces` about Applications of
//! one name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod applications;
mod client;
mod examples;
mod kinds;
mod namespaces;
mod parts;
mod pods;
mod rollouts;
mod stack;
mod syncs;
mod world;
