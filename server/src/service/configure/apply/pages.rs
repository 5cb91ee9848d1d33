//! What the pages *Registries*, *Clusters* and *Git* change, written as a document: so page and `waybill apply` keep the same rules, and the ledger
//! tells both in the same words.
//!
//! A document is given every secret; a page is given those that are new. The others are opened and put in, but only where they go to the
//! server that they were given for: who may change an address would otherwise be sent what they may not read.

use crate::{
    service::{
        configure::apply::{
            self, check,
            connection_specs::{ArgoCdSpec, ClusterRegistrySpec, ClusterSpec, RegistrySpec, RegistryUserSpec},
            document::{CredentialsSpec, Document, EnvironmentSpec, Presence, ProjectSpec, RepositorySpec, SecretText},
            in_form::in_form,
            plan::{self, Plan, PlannedChange, Stored, StoredCluster, StoredProject, StoredRegistry},
        },
        context::Services,
        reach::{self, Caller, SealedCredentials, not_found},
    },
    store::{ClusterRecord, ProjectRecord, RegistryRecord, Tx},
};
use contract::{
    connection::{ClusterDraft, EnvironmentDraft, RegistryDraft, RepositoryDraft, Secrets},
    error::AppError,
};
use domain::{
    copy::Mirror,
    environment::{Environment, Workspace},
    field::FieldErrors,
};
use secrecy::{ExposeSecret as _, SecretString};

/// What a form brings.
pub(crate) enum Page<'a> {
    /// A registry.
    Registry(&'a RegistryDraft, &'a TypedSecrets),
    /// A cluster.
    Cluster(&'a ClusterDraft, &'a TypedSecrets),
    /// A project's repository.
    Repository(&'a RepositoryDraft, &'a TypedSecrets),
    /// A new environment.
    Environment(&'a EnvironmentDraft),
}

/// The secrets that were typed; `None` keeps what is stored.
pub struct TypedSecrets {
    argocd_token: Option<SecretText>,
    pull_password: Option<SecretText>,
    push_password: Option<SecretText>,
    git_token: Option<SecretText>,
    ssh_key: Option<SecretText>,
}

impl From<Secrets> for TypedSecrets {
    fn from(typed: Secrets) -> Self {
        let word = |text: String| {
            let text = text.trim();
            (!text.is_empty()).then(|| SecretText::from(text))
        };
        Self {
            argocd_token: word(typed.argocd_token),
            pull_password: word(typed.pull_password),
            push_password: word(typed.push_password),
            git_token: word(typed.git_token),
            ssh_key: word(lines(&typed.ssh_key)),
        }
    }
}

/// What came of a form: what is stored, and what would be.
pub(crate) struct Planned {
    plan: Plan,
    stored: Stored,
}

impl Planned {
    /// What would be different.
    pub(crate) fn changes(&self) -> &[PlannedChange] {
        &self.plan.changes
    }

    /// A cluster as it would be.
    pub(crate) fn cluster(&self, name: &str) -> Option<&ClusterRecord> {
        let stored = self.stored.clusters.iter().map(|stored| &stored.record);
        let mut all = self.plan.clusters.iter().chain(stored);
        all.find(|record| record.cluster.name.as_str() == name)
    }

    /// The registries as they would be.
    pub(crate) fn registries(&self) -> Vec<RegistryRecord> {
        let planned = self.plan.registries.iter();
        let kept = (self.stored.registries.iter().map(|stored| &stored.record))
            .filter(|kept| planned.clone().all(|planned| planned.registry.id != kept.registry.id));
        planned.clone().chain(kept).cloned().collect()
    }

    /// A project as it would be, and the environments that it has.
    pub(crate) fn project(&self, name: &str) -> Option<(&ProjectRecord, &[Environment])> {
        let stored = self.stored.projects.iter().map(|stored| &stored.record);
        let mut all = self.plan.projects.iter().chain(stored);
        let record = all.find(|record| record.project.name.as_str() == name)?;
        let known = self
            .stored
            .projects
            .iter()
            .find(|p| p.record.project.id == record.project.id);
        Some((record, known.map_or(&[], |known| &known.environments)))
    }
}

/// Says what a form would change; writes nothing.
pub(crate) async fn plan_page(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    page: &Page<'_>,
) -> Result<Planned, AppError> {
    let stored = apply::stored(services, tx, Some(workspace.clone())).await?;
    let edited = match page {
        Page::Registry(..) | Page::Cluster(..) => None,
        Page::Repository(draft, _) => project_named(&stored, &draft.was),
        Page::Environment(draft) => project_named(&stored, &draft.project),
    };
    if let Some(edited) = edited {
        caller.check_administers(&edited.record.project)?;
    }
    let mut document = Document {
        workspace: workspace.name.to_string(),
        state: Presence::Present,
        registries: Vec::new(),
        clusters: Vec::new(),
        groups: Vec::new(),
        projects: Vec::new(),
    };
    let mut errors = FieldErrors::default();
    match page {
        Page::Registry(draft, typed) => (document.registries).push(registry(draft, typed, &stored, &mut errors)?),
        Page::Cluster(draft, typed) => (document.clusters).push(cluster(draft, typed, &stored, &mut errors)?),
        Page::Repository(draft, typed) => document.projects.push(repository(draft, typed, &stored)?),
        Page::Environment(draft) => document.projects.push(environment(draft, &stored)?),
    }
    // All mistakes at once: those of the document, and those that only the form can see.
    let checked = match check::check_document(&document).map_err(in_form) {
        Ok(checked) => {
            errors.into_result()?;
            checked
        }
        Err(mut all) => {
            all.0.extend(errors.0);
            return Err(all.into());
        }
    };
    let seal = |context: &str, secret: &SecretString| apply::seal(services, context, secret);
    let means = apply::means(services, &stored, &seal);
    let plan = plan::plan(&checked, &stored, &means).map_err(|error| match error {
        AppError::Invalid(errors) => AppError::Invalid(in_form(errors)),
        other => other,
    })?;
    Ok(Planned { plan, stored })
}

/// Changes what a form says; whoever follows connections takes them up at once.
pub(crate) async fn carry_out_page(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    page: &Page<'_>,
) -> Result<Vec<PlannedChange>, AppError> {
    caller.administered(workspace)?;
    if let Page::Repository(draft, _) = page {
        let checked = apply::check_addresses(services, std::iter::once(Some(draft.url.trim()))).await;
        checked.map_err(in_form)?;
    }
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let planned = plan_page(services, &mut *tx, &caller, &workspace, page).await?;
    if planned.changes().is_empty() {
        return Ok(Vec::new());
    }
    apply::check_new_names(&mut *tx, &planned.plan, &planned.stored).await?;
    apply::write_plan(services, &mut *tx, &caller, &planned.plan).await?;
    tx.commit().await?;
    services.wrote();
    services.connections_changed();
    services.wake.tags.notify_one();
    Ok(planned.plan.changes)
}

fn cluster(
    draft: &ClusterDraft,
    typed: &TypedSecrets,
    stored: &Stored,
    errors: &mut FieldErrors,
) -> Result<ClusterSpec<SecretText>, AppError> {
    let named = |name: &str| stored.clusters.iter().find(|c| c.record.cluster.name.as_str() == name);
    let (name, before) = match draft.was.as_str() {
        "" if named(draft.name.trim()).is_some() => {
            let why = format!(
                "There is a cluster {} already. Edit that one, or choose another name.",
                draft.name.trim()
            );
            return Err(FieldErrors::one("cluster[name]", why).into());
        }
        "" => (draft.name.trim(), None),
        was => (was, Some(named(was).ok_or_else(|| not_found("cluster", was))?)),
    };
    let ca = optional(&lines(&draft.argocd_ca));
    check_certificates(ca.as_ref(), "cluster[argocd_ca]", errors);
    let argocd = match optional(&draft.argocd_url) {
        None if typed.argocd_token.is_some() => {
            errors.add("cluster[argocd_url]", "Write the address that this token is for.");
            None
        }
        None => None,
        Some(url) => Some(ArgoCdSpec {
            token: argocd_token(typed, before, &url, errors),
            url,
            ca: ca.map(|ca| SecretText::from(ca.as_str())),
            application: optional(&draft.application),
            project: optional(&draft.argocd_project),
            namespace: optional(&draft.namespace),
            may_end_sync: draft.keep_syncs.then_some(false),
        }),
    };
    let mirror = optional(&draft.mirror).map(|repository| Mirror {
        repository,
        attachments: draft.attachments,
    });
    Ok(ClusterSpec {
        name: name.to_owned(),
        state: Presence::Present,
        argocd,
        registry: optional(&draft.registry).map(ClusterRegistrySpec::Named),
        mirror,
        platforms: (draft.platforms.split([',', ' ']))
            .filter(|platform| !platform.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// The token that was typed, or the stored one when it goes where it went before; an empty one beside the mistake that there is none.
fn argocd_token(
    typed: &TypedSecrets,
    before: Option<&StoredCluster>,
    url: &str,
    errors: &mut FieldErrors,
) -> SecretText {
    if let Some(token) = &typed.argocd_token {
        return token.clone();
    }
    let known = before.filter(|before| before.record.argocd_token.is_some());
    let was = known.and_then(|known| known.record.cluster.argocd.as_ref());
    let why = match (known.and_then(|known| known.argocd_token.as_ref()), was) {
        (Some(token), Some(was)) if same_server(&was.url, url) => return SecretText(token.clone()),
        (Some(_), Some(was)) => other_server("token", origin(&was.url)),
        (None, Some(_)) => unreadable("token"),
        _ => "Give a token that may get and sync the applications.".to_owned(),
    };
    errors.add("secrets[argocd_token]", why);
    SecretText::from("")
}

fn registry(
    draft: &RegistryDraft,
    typed: &TypedSecrets,
    stored: &Stored,
    errors: &mut FieldErrors,
) -> Result<RegistrySpec<SecretText>, AppError> {
    let named = |name: &str| (stored.registries.iter()).find(|r| r.record.registry.name.as_str() == name);
    let (name, before) = match draft.was.as_str() {
        "" if named(draft.name.trim()).is_some() => {
            let why = format!(
                "There is a registry {} already. Edit that one, or choose another name.",
                draft.name.trim()
            );
            return Err(FieldErrors::one("registry[name]", why).into());
        }
        "" => (draft.name.trim(), None),
        was => (was, Some(named(was).ok_or_else(|| not_found("registry", was))?)),
    };
    let ca = optional(&lines(&draft.ca));
    check_certificates(ca.as_ref(), "registry[ca]", errors);
    let host = draft.host.trim();
    // What is stored goes where it went before, and nowhere else.
    let goes_on = before.map(|before| &before.record.registry);
    let same = goes_on.is_some_and(|was| was.host == host && (was.plain_http || !draft.plain_http));
    let was = goes_on.map(|was| was.host.as_str()).unwrap_or_default();
    let mut login =
        |which: &str, user: &str, typed: Option<&SecretText>, is_stored: bool, kept: Option<&SecretString>| {
            let Some(user) = optional(user) else {
                if typed.is_some() {
                    errors.add(format!("registry[{which}_user]"), "Enter the user of this password.");
                }
                return None;
            };
            let why = match (typed, kept) {
                (Some(typed), _) => {
                    let password = typed.clone();
                    return Some(RegistryUserSpec { user, password });
                }
                (None, Some(kept)) if same => {
                    let password = SecretText(kept.clone());
                    return Some(RegistryUserSpec { user, password });
                }
                (None, Some(_)) => other_server("password", was),
                (None, None) if is_stored => unreadable("password"),
                (None, None) => "Give the user's password too.".to_owned(),
            };
            errors.add(format!("secrets[{which}_password]"), why);
            // Its user is checked all the same.
            let password = SecretText::from("");
            Some(RegistryUserSpec { user, password })
        };
    let of = |kept: fn(&StoredRegistry) -> (bool, Option<&SecretString>)| before.map_or((false, None), kept);
    let (is_stored, kept) = of(|r| (r.record.pull_password.is_some(), r.pull_password.as_ref()));
    let pull = match draft.anonymous {
        true => None,
        false => login("pull", &draft.pull_user, typed.pull_password.as_ref(), is_stored, kept),
    };
    let (is_stored, kept) = of(|r| (r.record.push_password.is_some(), r.push_password.as_ref()));
    let push = match draft.no_push {
        true => None,
        false => login("push", &draft.push_user, typed.push_password.as_ref(), is_stored, kept),
    };
    Ok(RegistrySpec {
        name: name.to_owned(),
        state: Presence::Present,
        host: Some(host.to_owned()),
        plain_http: draft.plain_http,
        ca: ca.map(|ca| SecretText::from(ca.as_str())),
        pull,
        push,
    })
}

fn check_certificates(pem: Option<&String>, field: &str, errors: &mut FieldErrors) {
    if pem.is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        let why = "Paste certificates in PEM form: they begin with -----BEGIN CERTIFICATE-----.";
        errors.add(field, why);
    }
}

fn project_named<'a>(stored: &'a Stored, name: &str) -> Option<&'a StoredProject> {
    stored.projects.iter().find(|p| p.record.project.name.as_str() == name)
}

fn repository(
    draft: &RepositoryDraft,
    typed: &TypedSecrets,
    stored: &Stored,
) -> Result<ProjectSpec<SecretText>, AppError> {
    let (name, before) = match draft.was.as_str() {
        "" if project_named(stored, draft.name.trim()).is_some() => {
            let why = format!(
                "There is a project {} already. Edit that one, or choose another name.",
                draft.name.trim()
            );
            return Err(FieldErrors::one("repository[name]", why).into());
        }
        "" => (draft.name.trim(), None),
        was => {
            let before = project_named(stored, was).ok_or_else(|| not_found("project", was))?;
            (was, Some(before))
        }
    };
    let url = draft.url.trim();
    let credentials = credentials(draft, typed, before, url)?;
    Ok(ProjectSpec {
        name: name.to_owned(),
        state: Presence::Present,
        repository: Some(RepositorySpec {
            url: url.to_owned(),
            branch: optional(&draft.branch),
            credentials,
        }),
        path_template: optional(&draft.path_template),
        values_prefix: optional(&draft.values_prefix),
        commit_subject: optional(&draft.commit_subject),
        author_address: optional(&draft.author_address),
        roles: None,
        environments: Vec::new(),
    })
}

fn credentials(
    draft: &RepositoryDraft,
    typed: &TypedSecrets,
    before: Option<&StoredProject>,
    url: &str,
) -> Result<Option<CredentialsSpec<SecretText>>, FieldErrors> {
    let known = before.and_then(opened);
    let is_stored = before.is_some_and(|before| before.record.credentials.is_some());
    match draft.sign_in.as_str() {
        "" | "none" => Ok(None),
        "token" => {
            let user = optional(&draft.user).ok_or_else(|| {
                let why = "Write the user of the token, for example x-access-token.";
                FieldErrors::one("repository[user]", why)
            })?;
            let was = before
                .map(|before| before.record.project.repository_url.as_str())
                .unwrap_or_default();
            let token = match (&typed.git_token, &known) {
                (Some(typed), _) => typed.clone(),
                (None, Some(SealedCredentials::UserToken { token, .. })) if same_server(was, url) => {
                    SecretText::from(token.as_str())
                }
                (None, Some(SealedCredentials::UserToken { .. })) => {
                    return Err(FieldErrors::one(
                        "secrets[git_token]",
                        other_server("token", origin(was)),
                    ));
                }
                (None, None) if is_stored => {
                    return Err(FieldErrors::one("secrets[git_token]", unreadable("token")));
                }
                (None, _) => {
                    let why = "Give the user's token, or a password.";
                    return Err(FieldErrors::one("secrets[git_token]", why));
                }
            };
            Ok(Some(CredentialsSpec {
                user: Some(user),
                token: Some(token),
                ssh_key: None,
                known_hosts: None,
            }))
        }
        "key" => {
            // A key is never sent: whoever is signed in to learns nothing by it.
            let key = match (&typed.ssh_key, &known) {
                (Some(typed), _) => typed.clone(),
                (None, Some(SealedCredentials::SshKey { private_key, .. })) => SecretText::from(private_key.as_str()),
                (None, None) if is_stored => return Err(FieldErrors::one("secrets[ssh_key]", unreadable("key"))),
                (None, _) => {
                    let why = "Paste the private key in OpenSSH form, without a passphrase.";
                    return Err(FieldErrors::one("secrets[ssh_key]", why));
                }
            };
            if !key.expose().contains("PRIVATE KEY-----") {
                let why = "This is no private key: one begins with -----BEGIN OPENSSH PRIVATE KEY-----.";
                return Err(FieldErrors::one("secrets[ssh_key]", why));
            }
            Ok(Some(CredentialsSpec {
                user: None,
                token: None,
                ssh_key: Some(key),
                known_hosts: optional(&lines(&draft.known_hosts)).map(|lines| SecretText::from(lines.as_str())),
            }))
        }
        _ => {
            let why = "Choose none, a user with a token, or a key.";
            Err(FieldErrors::one("repository[sign_in]", why))
        }
    }
}

/// The project as it is, with one environment more.
fn environment(draft: &EnvironmentDraft, stored: &Stored) -> Result<ProjectSpec<SecretText>, AppError> {
    let EnvironmentDraft {
        project,
        name,
        key,
        cluster,
        protected,
        mirror,
        attachments,
    } = draft;
    let project = project_named(stored, project).ok_or_else(|| not_found("project", project))?;
    let name = name.trim();
    if project.environments.iter().any(|e| e.name.as_str() == name) {
        let why = format!("There is an environment {name} already. Choose another name.");
        return Err(FieldErrors::one("environment[name]", why).into());
    }
    if cluster.is_empty() {
        return Err(FieldErrors::one("environment[cluster]", "Choose the cluster that it runs on.").into());
    }
    let known = &project.record.project;
    let credentials = match (opened(project), &project.record.credentials) {
        (None, Some(_)) => return Err(FieldErrors::one("environment[name]", unreadable("credentials")).into()),
        (None, None) => None,
        (Some(SealedCredentials::UserToken { user, token }), _) => Some(CredentialsSpec {
            user: Some(user),
            token: Some(SecretText::from(token.as_str())),
            ssh_key: None,
            known_hosts: None,
        }),
        (
            Some(SealedCredentials::SshKey {
                private_key,
                known_hosts,
            }),
            _,
        ) => Some(CredentialsSpec {
            user: None,
            token: None,
            ssh_key: Some(SecretText::from(private_key.as_str())),
            known_hosts: known_hosts.map(|lines| SecretText::from(lines.as_str())),
        }),
    };
    Ok(ProjectSpec {
        name: known.name.to_string(),
        state: Presence::Present,
        repository: Some(RepositorySpec {
            url: known.repository_url.clone(),
            branch: Some(known.branch.clone()),
            credentials,
        }),
        path_template: Some(known.path_template.clone()),
        values_prefix: Some(known.values_prefix.clone()),
        commit_subject: known.commit_subject.clone(),
        author_address: known.author_address.clone(),
        roles: None,
        environments: vec![EnvironmentSpec {
            name: name.to_owned(),
            key: optional(key),
            state: Presence::Present,
            remove_from_git: false,
            pin_followers: false,
            cluster: Some(cluster.clone()),
            protected: *protected,
            policy: None,
            restricted_to: Vec::new(),
            tags: Default::default(),
            mirror: optional(mirror).map(|repository| Mirror {
                repository,
                attachments: *attachments,
            }),
            create_file: false,
            resources: Vec::new(),
        }],
    })
}

fn opened(project: &StoredProject) -> Option<SealedCredentials> {
    serde_json::from_str(project.credentials.as_ref()?.expose_secret()).ok()
}

fn optional(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Browsers end the lines of a form as the network does.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Scheme, host and port; of `user@host:path` what stands before the path.
fn origin(url: &str) -> &str {
    match url.find("://") {
        Some(at) => {
            let host = at + 3;
            let end = url[host..].find('/').map_or(url.len(), |i| host + i);
            &url[..end]
        }
        None => url.split(':').next().unwrap_or(url),
    }
}

fn same_server(one: &str, other: &str) -> bool {
    origin(one).eq_ignore_ascii_case(origin(other))
}

fn other_server(what: &str, was: &str) -> String {
    format!("Type the {what} too: the stored one goes to {was} and nowhere else.")
}

fn unreadable(what: &str) -> String {
    format!("The stored {what} can't be opened with the server's key. Give it again.")
}

#[cfg(test)]
mod tests {
    use super::{origin, same_server};

    #[test]
    fn secrets_stay_with_their_server() {
        assert_eq!(
            origin("https://git.example.com:8443/a/b.git"),
            "https://git.example.com:8443"
        );
        assert_eq!(origin("https://git.example.com"), "https://git.example.com");
        assert_eq!(origin("git@example.com:a/b.git"), "git@example.com");
        assert!(same_server("https://Git.example.com/a", "https://git.example.com/b"));
        for other in [
            "http://git.example.com/a",
            "https://git.example.com:444/a",
            "https://git.example.com.evil.example/a",
            "https://evil.example/git.example.com",
            "",
        ] {
            assert!(!same_server("https://git.example.com/a", other), "{other}");
        }
    }
}
