//! Memory over restarts: Applications, cluster and projects in one JSON file, written soon after each change.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{app::Application, cluster::Cluster, world::Shared};

/// Changes within this time are written together.
const GATHER: Duration = Duration::from_millis(100);

#[derive(Default, Serialize, Deserialize)]
struct Memory {
    version: u64,
    projects: BTreeSet<String>,
    apps: Vec<Remembered>,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    application: Application,
    cluster: Cluster,
}

/// Brings back what the file holds. No file is an empty memory.
pub(crate) fn load(shared: &Arc<Shared>, file: &Path) -> std::io::Result<()> {
    let memory: Memory = match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    {
        let mut world = shared.world();
        world.version = world.version.max(memory.version);
        world.projects.extend(memory.projects);
    }
    for Remembered { application, cluster } in memory.apps {
        shared.create(application, cluster.with_older(&shared.clock.now()));
    }
    Ok(())
}

/// Writes the file in one step, so that a reader never sees half of it.
pub(crate) fn save(shared: &Shared, file: &Path) -> std::io::Result<()> {
    let memory = {
        let world = shared.world();
        let remember = |record: &crate::world::Record| Remembered {
            application: record.app.clone(),
            cluster: record.cluster.clone(),
        };
        Memory {
            version: world.version,
            projects: world.projects.clone(),
            apps: world.apps.values().map(remember).collect(),
        }
    };
    let next = file.with_extension("next");
    std::fs::write(&next, serde_json::to_vec(&memory)?)?;
    std::fs::rename(&next, file)
}

/// Saves after changes until the stand-in stops, and once more then.
pub(crate) async fn keep(shared: Arc<Shared>, file: std::path::PathBuf) {
    loop {
        let stopped = tokio::select! {
            () = shared.stop.cancelled() => true,
            () = shared.dirty.notified() => false,
        };
        if !stopped {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
        }
        if let Err(error) = save(&shared, &file) {
            tracing::warn!(%error, "the state of the Argo CD stand-in could not be saved");
        }
        if stopped || shared.stop.is_cancelled() {
            return;
        }
    }
}
