//! Where a form has what a document has: mistakes are said in its fields.

use domain::field::FieldErrors;

/// Where the form has what stands at a path of the document.
const FIELDS: [(&str, &str); 26] = [
    ("clusters[0].argocd.url", "cluster[argocd_url]"),
    ("clusters[0].argocd.application", "cluster[application]"),
    ("clusters[0].argocd.project", "cluster[argocd_project]"),
    ("clusters[0].argocd.namespace", "cluster[namespace]"),
    ("clusters[0].registry", "cluster[registry]"),
    ("clusters[0].mirror", "cluster[mirror]"),
    ("clusters[0].platforms", "cluster[platforms]"),
    ("clusters[0]", "cluster[name]"),
    ("registries[0].host", "registry[host]"),
    ("registries[0].pull.user", "registry[pull_user]"),
    ("registries[0].pull", "secrets[pull_password]"),
    ("registries[0].push.user", "registry[push_user]"),
    ("registries[0].push", "secrets[push_password]"),
    ("registries[0].ca", "registry[ca]"),
    ("registries[0]", "registry[name]"),
    ("projects[0].repository.url", "repository[url]"),
    ("projects[0].repository.branch", "repository[branch]"),
    ("projects[0].repository.credentials", "repository[user]"),
    ("projects[0].pathTemplate", "repository[path_template]"),
    ("projects[0].valuesPrefix", "repository[values_prefix]"),
    ("projects[0].commitSubject", "repository[commit_subject]"),
    ("projects[0].authorAddress", "repository[author_address]"),
    ("projects[0].environments[0].cluster", "environment[cluster]"),
    ("projects[0].environments[0].mirror", "environment[mirror]"),
    ("projects[0].environments[0].key", "environment[key]"),
    ("projects[0].environments[0]", "environment[name]"),
];

/// The same mistakes, each at its field.
pub(crate) fn in_form(mut errors: FieldErrors) -> FieldErrors {
    for error in &mut errors.0 {
        let found = FIELDS.iter().find(|(path, _)| error.field.starts_with(path));
        found
            .map_or("repository[name]", |(_, field)| field)
            .clone_into(&mut error.field);
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::in_form;
    use domain::field::FieldErrors;

    #[test]
    fn mistakes_are_said_in_the_forms_fields() {
        for (path, field) in [
            ("clusters[0].name", "cluster[name]"),
            ("clusters[0].argocd.url", "cluster[argocd_url]"),
            ("clusters[0].registry", "cluster[registry]"),
            ("registries[0].host", "registry[host]"),
            ("registries[0].push.user", "registry[push_user]"),
            ("projects[0].name", "repository[name]"),
            ("projects[0].repository.credentials.user", "repository[user]"),
            ("projects[0].environments[0].name", "environment[name]"),
            ("projects[0].environments[0].key", "environment[key]"),
            ("projects[0].environments[0].cluster", "environment[cluster]"),
        ] {
            assert_eq!(in_form(FieldErrors::one(path, "x")).0[0].field, field, "{path}");
        }
    }
}
