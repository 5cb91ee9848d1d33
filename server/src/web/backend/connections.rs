//! What a workspace is connected to, testing it, and deleting things.

use super::{RequestBackend, forward};
use crate::service::{configure, removal};
use contract::{
    backend::Connections,
    connection::{
        ClusterDraft, ClustersView, ConnectionTest, EnvironmentDraft, RegistriesView, RegistryDraft, RepositoriesView,
        RepositoryDraft, Secrets, TrustedRootDraft,
    },
    error::AppError,
    removal::{RemovalView, Removed, Removing},
    source::{SourceHostDraft, SourceHostsView},
};
use domain::removal::RemovalChoices;

forward! {
    Connections;
    fn registries(workspace: &str) -> RegistriesView = configure::registries;
    fn clusters(workspace: &str) -> ClustersView = configure::clusters;
    fn repositories(workspace: &str) -> RepositoriesView = configure::repositories;
    fn remove_trusted_root(workspace: &str, name: &str) -> () = configure::remove_trusted_root;
    fn source_hosts(workspace: &str) -> SourceHostsView = configure::source_hosts;
    fn remove_source_host(workspace: &str, host: &str) -> () = configure::remove_source_host;
    fn removal(target: &Removing) -> RemovalView = removal::removal;
    fn remove(target: &Removing, choices: RemovalChoices, typed: &str) -> Removed = removal::remove;
    ;

    async fn save_registry(
        &self,
        workspace: &str,
        draft: RegistryDraft,
        secrets: Secrets,
    ) -> Result<String, AppError> {
        let secrets = secrets.into();
        configure::save_registry(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn test_registry(
        &self,
        workspace: &str,
        draft: RegistryDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError> {
        let secrets = secrets.into();
        configure::test_registry(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn save_trusted_root(&self, workspace: &str, draft: TrustedRootDraft) -> Result<String, AppError> {
        let TrustedRootDraft { name, document } = draft;
        configure::save_trusted_root(&self.services, self.caller()?, workspace, &name, &document).await
    }

    async fn save_cluster(&self, workspace: &str, draft: ClusterDraft, secrets: Secrets) -> Result<String, AppError> {
        let secrets = secrets.into();
        configure::save_cluster(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn test_cluster(
        &self,
        workspace: &str,
        draft: ClusterDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError> {
        let secrets = secrets.into();
        configure::test_cluster(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn save_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<String, AppError> {
        let secrets = secrets.into();
        configure::save_repository(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn test_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError> {
        let secrets = secrets.into();
        configure::test_repository(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn save_source_host(
        &self,
        workspace: &str,
        draft: SourceHostDraft,
        secrets: Secrets,
    ) -> Result<String, AppError> {
        let token = secrets.source_token.into();
        configure::save_source_host(&self.services, self.caller()?, workspace, &draft, &token).await
    }

    async fn add_environment(&self, workspace: &str, draft: EnvironmentDraft) -> Result<String, AppError> {
        configure::add_environment(&self.services, self.caller()?, workspace, &draft).await
    }
}
