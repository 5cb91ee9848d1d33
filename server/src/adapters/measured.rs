//! Registries and Argo CDs, measured at their ports: how long each call takes, and what comes of it.

use crate::ports::{
    argocd::{
        AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Checked, Inspected, Refresh, SyncRequest, WatchEvent, Window,
        Workloads,
    },
    registry::{Hanging, Registry, RegistryAccess, RegistryError},
};
use crate::telemetry::{self, System};
use async_trait::async_trait;
use domain::{
    artifact::{ArtifactDetails, Digest, Repository, Tag},
    plan::{AppSnapshot, LogLine, Patient, PodEvent},
    time::Timestamp,
};
use futures::stream::BoxStream;
use std::{future::Future, time::Instant};

/// The same port, measured.
pub(crate) struct Measured<T>(pub(crate) T);

/// An error that may pass, or not.
trait Passing {
    fn passes(&self) -> bool;
}

impl Passing for ArgoCdError {
    fn passes(&self) -> bool {
        self.is_passing()
    }
}

impl Passing for RegistryError {
    fn passes(&self) -> bool {
        self.is_passing()
    }
}

async fn measure<T, E: Passing>(
    system: System,
    call: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let began = Instant::now();
    let outcome = work.await;
    let word = match &outcome {
        Ok(_) => "ok",
        Err(error) if error.passes() => "passing",
        Err(_) => "failed",
    };
    telemetry::called(system, call, began, word);
    outcome
}

#[async_trait]
impl<T: ArgoCd> ArgoCd for Measured<T> {
    async fn app(&self, access: &ArgoCdAccess, app: &AppRef, refresh: Refresh) -> Result<AppSnapshot, ArgoCdError> {
        // A refresh waits for Argo CD to look at Git: another thing altogether.
        let call = match refresh {
            Refresh::No => "app",
            Refresh::Normal => "refresh",
        };
        measure(System::ArgoCd, call, self.0.app(access, app, refresh)).await
    }

    async fn workloads(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Workloads, ArgoCdError> {
        measure(System::ArgoCd, "workloads", self.0.workloads(access, app)).await
    }

    async fn events(&self, access: &ArgoCdAccess, app: &AppRef, pod: &Patient) -> Result<Vec<PodEvent>, ArgoCdError> {
        measure(System::ArgoCd, "events", self.0.events(access, app, pod)).await
    }

    async fn logs(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        pod: &str,
        container: Option<&str>,
    ) -> Result<Vec<LogLine>, ArgoCdError> {
        measure(System::ArgoCd, "logs", self.0.logs(access, app, pod, container)).await
    }

    async fn sync(&self, access: &ArgoCdAccess, app: &AppRef, request: &SyncRequest) -> Result<(), ArgoCdError> {
        measure(System::ArgoCd, "sync", self.0.sync(access, app, request)).await
    }

    async fn end_operation(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<(), ArgoCdError> {
        measure(System::ArgoCd, "end_operation", self.0.end_operation(access, app)).await
    }

    async fn window(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        project: &str,
        now: Timestamp,
    ) -> Result<Window, ArgoCdError> {
        let work = self.0.window(access, app, project, now);
        measure(System::ArgoCd, "window", work).await
    }

    fn watch(&self, access: &ArgoCdAccess) -> BoxStream<'static, Result<WatchEvent, ArgoCdError>> {
        self.0.watch(access)
    }

    async fn check(&self, access: &ArgoCdAccess) -> Result<Checked, ArgoCdError> {
        measure(System::ArgoCd, "check", self.0.check(access)).await
    }

    async fn inspect(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Inspected, ArgoCdError> {
        measure(System::ArgoCd, "inspect", self.0.inspect(access, app)).await
    }
}

#[async_trait]
impl<T: Registry> Registry for Measured<T> {
    async fn resolve(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError> {
        let work = self.0.resolve(access, repository, tag);
        measure(System::Registry, "resolve", work).await
    }

    async fn look(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
        wanted: &Digest,
    ) -> Result<Option<(Digest, Option<ArtifactDetails>)>, RegistryError> {
        let work = self.0.look(access, repository, tag, wanted);
        measure(System::Registry, "look", work).await
    }

    async fn exists(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let work = self.0.exists(access, repository, digest);
        measure(System::Registry, "exists", work).await
    }

    async fn describe(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ArtifactDetails>, RegistryError> {
        let work = self.0.describe(access, repository, digest);
        measure(System::Registry, "describe", work).await
    }

    async fn attached(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
        says: &[&str],
    ) -> Result<Hanging, RegistryError> {
        let work = self.0.attached(access, repository, digest, says);
        measure(System::Registry, "attached", work).await
    }

    async fn tags(&self, access: &RegistryAccess, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        measure(System::Registry, "tags", self.0.tags(access, repository)).await
    }

    async fn check(&self, access: &RegistryAccess, registry: &str) -> Result<(), RegistryError> {
        measure(System::Registry, "check", self.0.check(access, registry)).await
    }
}
