//! Follows every cluster's Argo CD, so that what is live is on screen within a second.
//!
//! A stream begins with every Application as it is, so connecting again is reading again. While none can be had, what was reported
//! before stays, with its age beside it, for as long as [`crate::service::context::KEPT_MILLIS`] says; then it is forgotten: old news is not shown as
//! live. An Argo CD that can't be reached is tried again later each time ([`crate::back_off`]), and said to be lost once.
//!
//! A stream says nothing of what doesn't change, nor of what is not there. What Waybill hears of for the first time is read by [`news`], what
//! the stream doesn't name when it begins by [`unnamed`].

use super::closer::{self, Closer};
use crate::{
    back_off,
    ports::argocd::{AppRef, ArgoCdError, Refresh, WatchEvent},
    service::{
        Services,
        observe::{self, Absence, Reported},
        reach,
    },
    store::{ClusterRecord, StoreError},
    telemetry::streams::{self, Followed},
};
use contract::error::AppError;
use domain::{
    environment::{Environment, Project},
    id::ClusterId,
    plan::AppSnapshot,
};
use futures::StreamExt;
use news::News;
use std::{
    collections::{HashMap, HashSet},
    mem::{Discriminant, discriminant},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, Interval, interval_at},
};
use tokio_util::sync::CancellationToken;
use unnamed::Unnamed;

mod news;
mod unnamed;

/// How often the list of clusters is looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(30);
/// Pause before the database is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is noted that an Argo CD is being followed.
const BEAT: Duration = Duration::from_secs(10);
/// A stream that lasted so long was a good one: the next failure is a first one.
const STEADY: Duration = Duration::from_secs(30);
/// Failures in a row after which an Argo CD is called lost: one is the end of a stream, as proxies end them.
const LOST_AFTER: u32 = 2;

/// Follows all clusters until told to stop.
pub async fn all(services: Services, stop: CancellationToken) {
    let mut connections = services.wake.connections.subscribe();
    let mut followed: HashMap<String, (ClusterRecord, JoinHandle<()>)> = HashMap::new();
    // Clusters without an Argo CD, of which nothing is remembered that one reported.
    let mut silent: HashSet<ClusterId> = HashSet::new();
    let mut news = News::default();
    let mut something_changed = true;
    loop {
        match clusters(&services).await {
            Ok(current) => {
                let (current, without): (Vec<_>, Vec<_>) =
                    (current.into_iter()).partition(|record| record.cluster.argocd.is_some());
                silent.retain(|id| without.iter().any(|record| record.cluster.id == *id));
                for record in &without {
                    if !silent.contains(&record.cluster.id) && forget(&services, record).await {
                        silent.insert(record.cluster.id);
                    }
                }
                followed.retain(|id, (record, task)| {
                    let same =
                        !task.is_finished() && current.iter().any(|c| c.cluster.id.to_string() == *id && c == record);
                    if !same {
                        task.abort();
                    }
                    same
                });
                let mut told = Vec::new();
                for record in current {
                    let id = record.cluster.id.to_string();
                    match followed.contains_key(&id) {
                        true => told.push(record),
                        // Its stream begins with all that is.
                        false => {
                            let task = tokio::spawn(follow(services.clone(), record.clone()));
                            followed.insert(id, (record, task));
                        }
                    }
                }
                news.look(&services, &told, something_changed).await;
            }
            Err(error) if error.trouble().is_some() => {}
            Err(error) => tracing::error!(%error, "the clusters could not be read"),
        }
        something_changed = tokio::select! {
            () = stop.cancelled() => break,
            changed = connections.changed() => if changed.is_err() { break } else { true },
            () = services.wake.adopted.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
    }
    for (_, task) in followed.into_values() {
        task.abort();
    }
}

async fn clusters(services: &Services) -> Result<Vec<ClusterRecord>, StoreError> {
    let mut tx = services.store.read().await?;
    let mut clusters = Vec::new();
    for workspace in tx.workspaces().await? {
        clusters.extend(tx.clusters(workspace.id).await?);
    }
    Ok(clusters)
}

/// What is remembered of an Argo CD between two streams.
struct Mood {
    /// Failures in a row.
    failures: u32,
    /// What the log said about it last; `None` while all is well.
    told: Option<Discriminant<ArgoCdError>>,
    /// Whether what it reported is forgotten.
    is_forgotten: bool,
    again: watch::Receiver<u64>,
    /// By what its pauses differ from those of others.
    dice: u128,
}

async fn follow(services: Services, record: ClusterRecord) {
    let name = &record.cluster.name;
    let Some(argocd) = &record.cluster.argocd else { return };
    let _followed = Followed::begin(&argocd.url);
    let mut mood = Mood {
        failures: 0,
        told: None,
        is_forgotten: false,
        again: services.wake.again.subscribe(),
        dice: services.ids.next().as_u128(),
    };
    let mut closer = Closer::default();
    loop {
        let began = Instant::now();
        match listen(&services, &record, &mut mood, &mut closer).await {
            Ok(Listened::Nothing) => return,
            Ok(Listened::Ended) => mood.fails(began),
            Err(error) => {
                mood.fails(began);
                if mood.told.replace(discriminant(&error)) != Some(discriminant(&error)) {
                    tracing::warn!(cluster = %name, %error, "Argo CD can't be followed");
                }
                if mood.failures >= LOST_AFTER
                    && let Err(fault) = observe::record_stream_lost(&services, &record, &error.to_string()).await
                    && !matches!(fault, AppError::Unavailable(_))
                {
                    tracing::error!(cluster = %name, error = %fault, "that it is out of sight could not be noted");
                }
            }
        }
        let pause = back_off::pause(mood.failures, mood.dice);
        streams::waits(&argocd.url, pause);
        rest(&services, &record, &mut mood, pause).await;
    }
}

impl Mood {
    /// A stream that began then has ended.
    fn fails(&mut self, began: Instant) {
        if began.elapsed() >= STEADY {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
    }
}

/// How a stream ended that didn't fail.
enum Listened {
    /// There is none to listen to.
    Nothing,
    /// It was ended, or what it said was lost.
    Ended,
}

/// Listens to a stream until it ends.
async fn listen(
    services: &Services,
    record: &ClusterRecord,
    mood: &mut Mood,
    closer: &mut Closer,
) -> Result<Listened, ArgoCdError> {
    let access = match reach::argocd_access(services, record) {
        Ok(Some(access)) => access,
        Ok(None) => return Ok(Listened::Nothing),
        Err(error) => {
            // Once: nothing changes by itself before it is stored anew, and then somebody else follows.
            if mood.failures == 0 {
                tracing::error!(cluster = %record.cluster.name, %error, "the cluster's token could not be read");
            }
            return Ok(Listened::Ended);
        }
    };
    observe::forget_versions(services, record);
    let mut stream = services.argocd.watch(&access);
    // What the stream says first is how things are now: that it is followed is noted before.
    let mut beat: Option<Interval> = None;
    let mut own_namespace = None;
    let mut unnamed = Unnamed::default();
    let ended = loop {
        let event = tokio::select! {
            biased;
            () = next(&mut beat) => {
                note(services, record).await;
                continue;
            }
            event = stream.next() => event,
            // Last: what the stream has said is heard before.
            () = unnamed.is_due() => {
                unnamed.look(services, record, own_namespace.as_deref(), mood.dice);
                continue;
            }
        };
        let event = match event {
            Some(Ok(event)) => event,
            Some(Err(error)) => break Err(error),
            None => break Ok(Listened::Ended),
        };
        let (app, is_there) = match event {
            WatchEvent::Begun => {
                unnamed.begin();
                continue;
            }
            WatchEvent::Changed(app) => (app, true),
            WatchEvent::Deleted(app) => (app, false),
        };
        if beat.is_none() {
            note(services, record).await;
            beat = Some(interval_at(Instant::now() + BEAT, BEAT));
            streams::waits(&access.url, Duration::ZERO);
            mood.is_forgotten = false;
            if mood.told.take().is_some() {
                tracing::info!(cluster = %record.cluster.name, "Argo CD is followed again");
            }
        }
        own_namespace = app.controller_namespace.clone().or(own_namespace);
        unnamed.note_named(&app);
        if !report(services, record, &app, is_there, own_namespace.as_deref(), closer).await {
            break Ok(Listened::Ended);
        }
    };
    if beat.is_some() {
        // Until now it was followed.
        note(services, record).await;
    }
    ended
}

/// Waits until the next try, or until somebody has reason to think that it will not fail. What was reported is forgotten meanwhile, when
/// its time has come.
async fn rest(services: &Services, record: &ClusterRecord, mood: &mut Mood, pause: Duration) {
    let until = Instant::now() + pause;
    // What was said while all was well is not about this.
    mood.again.borrow_and_update();
    while Instant::now() < until {
        let left = match mood.is_forgotten {
            true => Duration::MAX,
            false => observe::kept_while_out_of_sight(services, record)
                .await
                .unwrap_or(AGAIN),
        };
        if left.is_zero() {
            mood.is_forgotten = forget(services, record).await;
            if mood.is_forgotten {
                continue;
            }
        }
        let wake = Instant::now()
            .checked_add(left.max(AGAIN))
            .map_or(until, |at| at.min(until));
        tokio::select! {
            () = tokio::time::sleep_until(wake) => {}
            changed = mood.again.changed() => {
                if changed.is_ok() {
                    mood.failures = 0;
                }
                return;
            }
        }
    }
}

/// The next beat; never, before the first.
async fn next(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}

/// Forgets what was live on a cluster; whether that worked.
async fn forget(services: &Services, record: &ClusterRecord) -> bool {
    let forgot = observe::forget_live(services, record).await;
    if let Err(error) = &forgot
        && !matches!(error, AppError::Unavailable(_))
    {
        tracing::error!(cluster = %record.cluster.name, %error, "what was live could not be forgotten");
    }
    forgot.is_ok()
}

/// Notes that the cluster's Argo CD is being followed.
async fn note(services: &Services, record: &ClusterRecord) {
    if let Err(error) = observe::note_followed(services, record).await
        && !matches!(error, AppError::Unavailable(_))
    {
        tracing::error!(cluster = %record.cluster.name, %error, "that it is followed could not be noted");
    }
}

/// Stores what the stream said of an Application, or that it `is_there` no longer, for every environment that it belongs to. `false` when
/// the database could not be written, once it can be again: what the stream said is lost then, and it must say anew how things are.
async fn report(
    services: &Services,
    record: &ClusterRecord,
    app: &AppSnapshot,
    is_there: bool,
    own_namespace: Option<&str>,
    closer: &mut Closer,
) -> bool {
    let reported = if is_there {
        try_report(services, record, app, own_namespace, Some(closer)).await
    } else {
        let is_it = |wanted: &AppRef| is_it(wanted, &app.name, app.namespace.as_deref(), own_namespace);
        absent(services, record, is_it, |_| Absence::Deleted(app.version)).await
    };
    match reported {
        Ok(()) => true,
        Err(AppError::Unavailable(_)) => {
            while services.store.check_writable().await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            false
        }
        Err(error) => {
            tracing::error!(application = %app.name, %error, "what is live could not be stored");
            true
        }
    }
}

async fn try_report(
    services: &Services,
    record: &ClusterRecord,
    app: &AppSnapshot,
    own_namespace: Option<&str>,
    mut closer: Option<&mut Closer>,
) -> Result<(), AppError> {
    services.deployed_sources.note(record.cluster.id, app);
    let is_it = |wanted: &AppRef| is_it(wanted, &app.name, app.namespace.as_deref(), own_namespace);
    for (project, environment, at) in places(services, record, is_it).await? {
        if observe::report_live(services, &project, &environment, &at, app).await? == Reported::InDoubt {
            match &mut closer {
                Some(closer) => closer.look(services, record, &project, &environment, app),
                None => closer::read(services, record, &project, &environment, app.clone()).await?,
            }
        }
        observe::wake_waiting_in(services, &environment).await?;
    }
    Ok(())
}

/// Notes for every environment of some Applications that there are none.
async fn absent(
    services: &Services,
    record: &ClusterRecord,
    is_it: impl Fn(&AppRef) -> bool,
    seen: impl Fn(&Environment) -> Absence,
) -> Result<(), AppError> {
    for (project, environment, app) in places(services, record, is_it).await? {
        let seen = seen(&environment);
        services.deployed_sources.forget_one(record.cluster.id, &app.name);
        (observe::report_absent(services, &project, &environment, &app, seen)).await?;
        observe::wake_waiting_in(services, &environment).await?;
    }
    Ok(())
}

/// The environments of a cluster whose Application is meant, with what it is called there.
async fn places(
    services: &Services,
    record: &ClusterRecord,
    is_it: impl Fn(&AppRef) -> bool,
) -> Result<Vec<(Project, Environment, AppRef)>, StoreError> {
    let mut tx = services.store.read().await?;
    let mut places = Vec::new();
    for project in tx.projects(record.cluster.workspace).await? {
        for environment in tx.environments(project.project.id).await? {
            if environment.cluster != record.cluster.id {
                continue;
            }
            let wanted = reach::application(record, &project.project.name, &environment.name);
            if let Some(wanted) = wanted.filter(|wanted| is_it(wanted)) {
                places.push((project.project.clone(), environment, wanted));
            }
        }
    }
    Ok(places)
}

/// What came of reading an Application beside the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadOnce {
    /// What there is to know is stored.
    Done,
    /// It is to be tried again.
    Again,
}

/// Reads an Application beside the stream, and stores what it runs, or that there is none.
async fn read(services: &Services, record: &ClusterRecord, app: &AppRef) -> ReadOnce {
    let Ok(Some(access)) = reach::argocd_access(services, record) else {
        return ReadOnce::Done;
    };
    let is_it = |wanted: &AppRef| wanted == app;
    let Ok(places) = places(services, record, is_it).await else {
        return ReadOnce::Again;
    };
    let newest: HashMap<_, _> = (places.iter())
        .map(|(_, environment, _)| (environment.id, observe::newest_version(services, environment)))
        .collect();
    let stored = match services.argocd.app(&access, app, Refresh::No).await {
        Ok(snapshot) => {
            let own_namespace = snapshot.controller_namespace.clone();
            try_report(services, record, &snapshot, own_namespace.as_deref(), None).await
        }
        Err(error) if error.is_absence() => {
            let seen = |environment: &Environment| Absence::NotFound {
                newest: newest.get(&environment.id).copied().flatten(),
            };
            absent(services, record, is_it, seen).await
        }
        // The stream doesn't understand it either, and says so.
        Err(ArgoCdError::Protocol { .. }) => Ok(()),
        Err(error) if error.is_passing() => return ReadOnce::Again,
        // Whoever refuses the token refuses its stream, too, where that is told.
        Err(_) => Ok(()),
    };
    match stored {
        Ok(()) => ReadOnce::Done,
        Err(AppError::Unavailable(_)) => ReadOnce::Again,
        Err(error) => {
            tracing::error!(application = %app.name, %error, "what is live could not be stored");
            ReadOnce::Done
        }
    }
}

/// Whether this is the Application that is meant: names are unique in a namespace only, and where none is named Argo CD's own is meant.
fn is_it(wanted: &AppRef, name: &str, namespace: Option<&str>, own_namespace: Option<&str>) -> bool {
    let meant = wanted.namespace.as_deref().or(own_namespace);
    wanted.name == name && (meant.is_none() || namespace.is_none() || meant == namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_namespace_is_named_argo_cds_own_is_meant() {
        let wanted = |namespace: Option<&str>| AppRef {
            name: "shop".into(),
            project: None,
            namespace: namespace.map(Into::into),
        };
        for (named, reported, own, same) in [
            (None, Some("argocd"), Some("argocd"), true),
            (None, Some("team-a"), Some("argocd"), false),
            (Some("team-a"), Some("team-a"), Some("argocd"), true),
            (Some("team-a"), Some("argocd"), Some("argocd"), false),
            // An Argo CD that doesn't say where it lives: nothing can be told apart.
            (None, Some("team-a"), None, true),
            (None, None, Some("argocd"), true),
        ] {
            let is = is_it(&wanted(named), "shop", reported, own);
            assert_eq!(is, same, "{named:?} {reported:?} {own:?}");
        }
        let other = AppRef {
            name: "shop-2".into(),
            ..wanted(None)
        };
        assert!(!is_it(&other, "shop", None, None));
    }
}
