//! Part 1 of the form: where the image comes from.
//!
//! Both kinds of source are in the page; the style sheet shows the one that is chosen, with or without a script.

use super::{
    parts::{radios, select},
    state::FormState,
};
use crate::components::{field::TextField, radio_card::RadioCard, tag_rule::tag_rule_fields};
use domain::{
    draft::{SourceEnvironment, SourceResource},
    resource::Kind,
    time::Timestamp,
};
use leptos::prelude::*;

/// An option of *Source resource*.
#[derive(Clone, PartialEq, Eq)]
struct Choice {
    environment: String,
    name: String,
    text: String,
}

pub(super) fn source_fields(state: FormState, now: Timestamp) -> AnyView {
    let is_image = state.initial(|draft| &draft.source) == "image";
    let has_none = state.options.with_value(|options| options.environments.is_empty());
    let cards = view! {
        <RadioCard
            name="source"
            value="image"
            title="Image"
            help="A repository that your builds push to. For the first environment."
            checked=is_image
        />
        <RadioCard
            name="source"
            value="promote"
            title="Promote from environment"
            help="The exact image that another environment runs. No rebuild."
            checked=!is_image
        />
    }
    .into_any();
    let none = has_none.then(|| {
        view! {
            <p class="help only-promote">
                "No other environment of this project has anything to promote. Create a resource there first, or choose Image."
            </p>
        }
    });
    view! {
        <fieldset class="part">
            <legend>"Source"</legend>
            {radios(state, "source", "Source", cards)}
            {none}
            <div class="only-promote stack">
                {source_environment(state)}
                {source_resource(state, now)}
                <p class="row needs-no-script">
                    <button type="submit" class="button" name="intent" value="update">
                        "Update choices"
                    </button>
                    <span class="muted">"Shows what the chosen environment and resource offer."</span>
                </p>
            </div>
            <div class="only-image stack">{image_fields(state)}</div>
        </fieldset>
    }
    .into_any()
}

fn source_environment(state: FormState) -> AnyView {
    let chosen = state.initial(|draft| &draft.source_environment);
    let environments = state.options.with_value(|options| {
        let names = options
            .environments
            .iter()
            .map(|environment| environment.name.to_string());
        names.collect::<Vec<_>>()
    });
    // Sent by somebody who wasn't offered it: kept, so that what is said about it makes sense.
    let unknown = (!chosen.is_empty() && !environments.contains(&chosen)).then(|| chosen.clone());
    let offered = environments.into_iter().chain(unknown).map(|name| (name.clone(), name));
    let options = std::iter::once((String::new(), "Choose an environment".to_owned())).chain(offered);
    let options: Vec<_> = options
        .map(|(value, text)| {
            let is_chosen = value == chosen;
            view! {
                <option value=value selected=is_chosen>
                    {text}
                </option>
            }
        })
        .collect();
    select(
        state,
        "source_environment",
        "Source environment",
        None,
        options.into_any(),
    )
}

fn source_resource(state: FormState, now: Timestamp) -> AnyView {
    let is_known = state.memo(|draft, options| options.environment(&draft.source_environment).is_some());
    let offered = state.memo(move |draft, options| {
        let environment = options.environment(&draft.source_environment);
        environment
            .map(|environment| choices(environment, now))
            .unwrap_or_default()
    });
    let placeholder = move || match (is_known.get(), state.scripted.get()) {
        (false, true) => "Choose the environment first",
        _ => "Choose a resource",
    };
    let options = move || {
        if is_known.get() {
            view! {
                <For each=move || offered.get() key=|choice| (choice.environment.clone(), choice.name.clone()) let(choice)>
                    {
                        let is_chosen = state.draft.with_untracked(|draft| draft.source_resource == choice.name);
                        view! {
                            <option value=choice.name selected=is_chosen>
                                {choice.text}
                            </option>
                        }
                    }
                </For>
            }
            .into_any()
        } else if state.scripted.get() {
            ().into_any()
        } else {
            // Without a script and before an environment was chosen: all of them, told apart by environment.
            let groups = state.options.with_value(|options| {
                let groups = options.environments.iter().map(|environment| group(environment, now));
                groups.collect::<Vec<_>>()
            });
            groups.into_any()
        }
    };
    let options = view! {
        <option value="">{placeholder}</option>
        {options}
    };
    select(state, "source_resource", "Source resource", None, options.into_any())
}

fn group(environment: &SourceEnvironment, now: Timestamp) -> AnyView {
    let options: Vec<_> = choices(environment, now)
        .into_iter()
        .map(|choice| view! { <option value=choice.name>{choice.text}</option> })
        .collect();
    view! { <optgroup label=environment.name.to_string()>{options}</optgroup> }.into_any()
}

fn choices(environment: &SourceEnvironment, now: Timestamp) -> Vec<Choice> {
    let choice = |resource: &SourceResource| Choice {
        environment: environment.name.to_string(),
        name: resource.name.to_string(),
        text: describe(resource, now),
    };
    environment.resources.iter().map(choice).collect()
}

/// A source resource in one line: `api · 9b1f6c1 · v1.4.2 · 3 h ago`.
fn describe(resource: &SourceResource, now: Timestamp) -> String {
    let declared = &resource.declared;
    let mut parts = vec![
        resource.name.to_string(),
        declared
            .digest
            .as_ref()
            .map_or_else(|| "no digest".to_owned(), |digest| digest.short().to_owned()),
    ];
    parts.extend(declared.tag.as_ref().map(ToString::to_string));
    parts.extend(resource.since.map(|since| since.ago(now)));
    parts.join(" · ")
}

fn image_fields(state: FormState) -> AnyView {
    let kind = state.initial(|draft| &draft.kind);
    let repositories = state.options.with_value(|options| {
        let known = options.repositories.iter();
        known
            .map(|repository| view! { <option value=repository.to_string()></option> })
            .collect_view()
    });
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .map(|offered| {
            let is_chosen = offered.as_str() == kind;
            view! {
                <option value=offered.as_str() selected=is_chosen>
                    {offered.as_str()}
                </option>
            }
        })
        .collect();
    view! {
        <TextField
            name="image"
            label="Image repository"
            help="With its registry, without tag or digest: registry.example.com/myapp/api."
            value=state.initial(|draft| &draft.image)
            error=state.error(|| "image".into())
            list="repositories"
            mono=true
        />
        <datalist id="repositories">{repositories}</datalist>
        {tag_rule_fields(
            &state.initial(|draft| &draft.tags),
            state.initial(|draft| &draft.tags_value),
            state.initial(|draft| &draft.leave_out),
            |field| state.error(move || field.to_owned()),
        )}
        {select(
            state,
            "kind",
            "Kind",
            Some("A job can't be promoted to other environments: its pod template can't change."),
            kinds.into_any(),
        )}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::artifact::DeclaredImage;

    #[test]
    fn an_option_tells_digest_tag_and_age() {
        let mut resource = SourceResource {
            kind: domain::resource::Kind::Deployment,
            name: "api".parse().unwrap(),
            declared: DeclaredImage {
                repository: None,
                tag: "v1.4.2".parse().ok(),
                digest: format!("sha256:{}", "9b".repeat(32)).parse().ok(),
                unclear: None,
            },
            since: Some(Timestamp(0)),
            recent: Vec::new(),
        };
        assert_eq!(
            describe(&resource, Timestamp(3 * 3_600_000)),
            "api · 9b9b9b9 · v1.4.2 · 3 h ago"
        );
        resource.declared = DeclaredImage::default();
        resource.since = None;
        assert_eq!(describe(&resource, Timestamp(0)), "api · no digest");
    }
}
