//! How a workspace is set up: documents that are applied, connections and their tests, new resources, which tags count, new keys.

mod apply;
mod change_tags;
mod connections;
mod create_resource;
mod environment_images;
mod new_key;
mod source_hosts;
mod start;
mod test_connection;
mod trusted_roots;

pub use apply::{
    Applied, Document, PlannedChange, SecretRef, SecretText, SecretUse, Sign, TypedSecrets, apply, check_document,
};
pub use change_tags::{change_tags, preview_tags};
pub use connections::{
    add_environment, clusters, registries, repositories, save_cluster, save_registry, save_repository,
};
pub use create_resource::create_resource;
pub use environment_images::{environment_images, set_environment_images, set_tags_again};
pub use new_key::take_new_key;
pub use source_hosts::{remove_source_host, save_source_host, source_hosts};
pub use test_connection::{test_cluster, test_registry, test_repository};
pub use trusted_roots::{remove_trusted_root, save_trusted_root};
