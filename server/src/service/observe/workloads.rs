//! Reading the workloads of an Application: few at a time, and no oftener than an Argo CD bears.

use crate::{
    ports::argocd::{AppRef, ArgoCdAccess, ArgoCdError, Workloads},
    service::context::{ReadPurpose, Services},
};
use domain::plan::AppSnapshot;
use tokio::time::Instant;

/// Reads the workloads of an Application into a look at it. What a promotion read a moment ago of the same version is not read again.
///
/// # Errors
/// When Argo CD can't be asked. That it lets nobody read them is no error.
pub async fn read_workloads(
    services: &Services,
    access: &ArgoCdAccess,
    app: &AppRef,
    look: &mut AppSnapshot,
    whom: ReadPurpose,
) -> Result<(), ArgoCdError> {
    let key = (access.url.clone(), app.clone());
    let known = match whom {
        ReadPurpose::Promotion => services.workload_reads.known(&key, look.version, Instant::now()),
        ReadPurpose::Board => None,
    };
    let workloads = match known {
        Some(known) => known,
        None => {
            let turns = services.workload_reads.turns(&access.url);
            let _turn = turns.take(whom).await;
            let read = services.argocd.workloads(access, app).await?;
            if whom == ReadPurpose::Promotion {
                services
                    .workload_reads
                    .keep(key, look.version, read.clone(), Instant::now());
            }
            read
        }
    };
    match workloads {
        Workloads::Read(workloads) => (look.workloads, look.workloads_withheld) = (Some(workloads), None),
        Workloads::Withheld(why) => (look.workloads, look.workloads_withheld) = (None, Some(why)),
    }
    Ok(())
}
