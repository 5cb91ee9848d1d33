//! Copying an image between repositories by digest: [`Copier`]. It also gives an image other tags in its repository (`retag`), looks whether
//! all of it can still be pulled (`look`, with `gentle` for those who have time), and hangs signed statements on it (`hang`, in the form that `form` finds).
//!
//! The parts, in the order in which a copy needs them: `closure` finds all that an image consists of, `referrers` what hangs on it; `lanes`
//! shares the streams, `carriage` carries the blobs, `blob` one of them, and `flow` watches its bytes; `node` pushes manifests, `tags` adds to what the target's tags
//! and lists hold (`layers` counts the layers that it adds), `prove` reads everything again. `job` puts them in order, `end` is a repository as it is asked.
//!
//! Nothing moves before everything below it is there: blobs, manifests, indexes, the image itself, what refers to it, then tags. So a copy
//! may stop anywhere. The next one looks what is there and goes on. No state is kept for it.

mod blob;
mod carriage;
mod closure;
mod document;
mod end;
mod flow;
mod form;
mod gentle;
mod hang;
mod job;
mod lanes;
mod layers;
mod look;
mod node;
mod prove;
mod referrers;
mod retag;
mod settings;
mod tags;

pub use settings::CopySettings;

use super::{
    RegistryError,
    client::{Endpoint, RegistryClient},
    push::{Begun, Pace},
    transport::SetupError,
};
use crate::ports::image_copy::{CopyEnd, CopyError, CopyRequest, CopyWatch, ImageCopier};
use async_trait::async_trait;
use domain::copy::{CopyPlan, CopyProof};
use end::End;
use gentle::Gentle;
use job::Job;
use lanes::Lanes;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio_util::sync::CancellationToken;

/// Copies images between OCI registries. Cheap to clone; it holds connections, tokens, and for each host the number of streams and the turns of
/// looks that have time, so use one for the whole process.
#[derive(Clone)]
pub struct Copier {
    client: Arc<RegistryClient>,
    pace: Arc<Pace>,
    lanes: Arc<Lanes>,
    gentle: Arc<Gentle>,
    /// Repositories that were found to delete an image with its tag.
    deleters: Arc<Mutex<BTreeSet<String>>>,
    settings: CopySettings,
}

impl Copier {
    /// A copier with the usual limits.
    ///
    /// # Errors
    /// When no TLS client can be set up, for example without any CA certificate.
    pub fn new() -> Result<Self, SetupError> {
        Self::with_settings(CopySettings::default())
    }

    /// A copier with other limits.
    ///
    /// # Errors
    /// As [`Copier::new`].
    pub fn with_settings(settings: CopySettings) -> Result<Self, SetupError> {
        Ok(Self {
            client: Arc::new(RegistryClient::with_timeouts(settings.timeouts)?),
            pace: Arc::new(Pace::new(settings.pause_scale)),
            lanes: Arc::new(Lanes::new(settings.streams_per_host)),
            gentle: Arc::new(Gentle::new(settings.look_interval)),
            deleters: Arc::default(),
            settings,
        })
    }

    fn end(&self, place: Endpoint, is_source: bool) -> End {
        End::new(Arc::clone(&self.client), place, Arc::clone(&self.pace), is_source)
    }

    fn job<'a>(&'a self, request: &'a CopyRequest) -> Result<Job<'a>, CopyError> {
        let from = Endpoint::new(&request.from.access, &request.from.repository).map_err(CopyError::Source)?;
        let to = Endpoint::new(&request.to.access, &request.to.repository).map_err(CopyError::Target)?;
        let is_one_registry = from.base.origin() == to.base.origin();
        let mount = (is_one_registry && from.path != to.path).then(|| to.clone().for_mount(&from));
        Ok(Job {
            from: self.end(from, true),
            to: self.end(to.for_push(), false),
            mount: mount.map(|place| self.end(place, false)),
            lanes: &self.lanes,
            settings: &self.settings,
            request,
        })
    }
}

#[async_trait]
impl ImageCopier for Copier {
    async fn plan(&self, request: &CopyRequest) -> Result<CopyPlan, CopyError> {
        self.job(request)?.plan().await
    }

    async fn copy(
        &self,
        request: &CopyRequest,
        watch: &dyn CopyWatch,
        stop: &CancellationToken,
    ) -> Result<CopyProof, CopyError> {
        let job = self.job(request)?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(CopyError::Stopped),
            copied = job.run(watch, stop) => copied,
        }
    }

    async fn may_push(&self, target: &CopyEnd) -> Result<(), RegistryError> {
        let place = Endpoint::new(&target.access, &target.repository)?.for_push();
        match self.client.begin_upload(&place, None, &self.pace).await? {
            Begun::Upload(_) | Begun::Mounted => Ok(()),
            Begun::Refused(answer) => {
                let refused = answer.refused(&place.registry, &place.repository);
                Err(refused.unwrap_or_else(|| answer.unexpected(&place.registry)))
            }
        }
    }
}
