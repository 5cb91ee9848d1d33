//! The form while a script runs: the document holds what was typed, this holds what follows from it.
//!
//! Inputs are not controlled: what was typed before the script arrived stays, and so does what the browser put back.
//! After every input the whole form is read, the same way as the server reads a post.

use super::{outlook, post};
use crate::form;
use contract::error::AppError;
use domain::{
    draft::{FormOptions, ResourceDraft},
    field::FieldErrors,
};
use leptos::{ev, html, prelude::*};
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, FormData, HtmlElement, HtmlFormElement, HtmlInputElement, UrlSearchParams};

/// What the parts of the form share.
#[derive(Clone, Copy)]
pub(super) struct FormState {
    /// What the form offers.
    pub(super) options: StoredValue<FormOptions>,
    /// The form as typed.
    pub(super) draft: RwSignal<ResourceDraft>,
    /// What the page began with: initial values of the inputs.
    pub(super) initial: StoredValue<ResourceDraft>,
    /// Errors shown under the fields.
    pub(super) errors: RwSignal<FieldErrors>,
    /// Whether they are also listed at the top: after a submit.
    pub(super) listed: RwSignal<bool>,
    /// What went wrong that is no field's fault.
    pub(super) failure: RwSignal<Option<AppError>>,
    /// Whether a script runs.
    pub(super) scripted: RwSignal<bool>,
    /// Field to go on with when the page was shown again.
    pub(super) focus: StoredValue<Option<String>>,
    /// The form element.
    pub(super) form: NodeRef<html::Form>,
    /// The name that was last suggested; replaced by the next suggestion as long as nobody changed it.
    suggested: StoredValue<String>,
    /// Whether a pointer is pressed.
    pressed: StoredValue<bool>,
    /// The field that was left since. (Its name: an element can't be held where the server renders on many threads.)
    left_pressed: StoredValue<Option<String>>,
}

impl FormState {
    /// Begins with `draft`, and what a plain post said about it.
    pub(super) fn new(
        options: FormOptions,
        mut draft: ResourceDraft,
        error: Option<AppError>,
        focus: Option<String>,
    ) -> Self {
        post::tidy(&mut draft);
        let (errors, failure) = split(error);
        let suggested = outlook::suggested_name(&draft, &options)
            .filter(|name| *name == draft.name)
            .unwrap_or_default();
        let state = Self {
            options: StoredValue::new(options),
            initial: StoredValue::new(draft.clone()),
            draft: RwSignal::new(draft),
            listed: RwSignal::new(!errors.is_empty()),
            errors: RwSignal::new(errors),
            failure: RwSignal::new(failure),
            scripted: RwSignal::new(false),
            focus: StoredValue::new(focus),
            form: NodeRef::new(),
            suggested: StoredValue::new(suggested),
            pressed: StoredValue::new(false),
            left_pressed: StoredValue::new(None),
        };
        // Runs in the browser only, once the form is there: takes over what was typed before.
        Effect::new(move |_| {
            if state.form.get().is_some() {
                state.read();
                state.scripted.set(true);
                state.follow_pointer();
            }
        });
        state
    }

    /// The first error about `field`.
    pub(super) fn error(self, field: impl Fn() -> String + Send + Sync + 'static) -> Signal<Option<String>> {
        Signal::derive(move || self.errors.with(|errors| errors.get(&field()).map(str::to_owned)))
    }

    /// A part of the draft.
    pub(super) fn memo<T>(self, part: impl Fn(&ResourceDraft, &FormOptions) -> T + Send + Sync + 'static) -> Memo<T>
    where
        T: PartialEq + Send + Sync + 'static,
    {
        Memo::new(move |_| {
            self.options
                .with_value(|options| self.draft.with(|draft| part(draft, options)))
        })
    }

    /// What is listed at the top of the form: all errors after a submit, or what is no field's fault.
    pub(super) fn summary(self) -> Signal<Option<AppError>> {
        Signal::derive(move || {
            self.failure
                .get()
                .or_else(|| self.listed.get().then(|| AppError::Invalid(self.errors.get())))
        })
    }

    /// Initial value of a field.
    pub(super) fn initial(self, part: impl Fn(&ResourceDraft) -> &str) -> String {
        self.initial.with_value(|draft| part(draft).to_owned())
    }

    /// Whether the page was shown again to go on with this field.
    pub(super) fn is_focus(self, field: &str) -> bool {
        self.focus.with_value(|focus| focus.as_deref() == Some(field))
    }

    /// Reads the form and lets follow what follows: choices narrow, the name is suggested. Gives back what is typed.
    pub(super) fn read(self) -> ResourceDraft {
        let Some(mut draft) = self.form.get_untracked().and_then(|form| typed(&form)) else {
            return self.draft.get_untracked();
        };
        let before = self.draft.get_untracked();
        self.options.with_value(|options| {
            if draft.source_environment != before.source_environment {
                choose_resource(&mut draft, options);
            }
            if (&draft.source_environment, &draft.source_resource)
                != (&before.source_environment, &before.source_resource)
            {
                self.suggest_name(&mut draft, options);
            }
        });
        if draft != before {
            self.draft.set(draft.clone());
        }
        draft
    }

    fn suggest_name(self, draft: &mut ResourceDraft, options: &FormOptions) {
        let is_untouched = draft.name.is_empty() || self.suggested.with_value(|suggested| *suggested == draft.name);
        if is_untouched {
            // Nothing is suggested rather than a name that belongs to another source, or is taken.
            let name = outlook::suggested_name(draft, options).unwrap_or_default();
            self.put("name", &name);
            draft.name.clone_from(&name);
            self.suggested.set_value(name);
        }
    }

    /// Puts a value into a field.
    fn put(self, field: &str, value: &str) {
        if let Some(input) = self.element(field).and_then(|e| e.dyn_into::<HtmlInputElement>().ok()) {
            input.set_value(value);
        }
    }

    /// Something was typed or chosen in `target`.
    pub(super) fn typed_in(self, target: Option<web_sys::EventTarget>) {
        match field_name(target) {
            Some(field) => self.field_changed(&field),
            None => drop(self.read()),
        }
    }

    /// A field holds something else: reads the form, and looks again at what was said about that field.
    pub(super) fn field_changed(self, field: &str) {
        self.read();
        // Another source makes what was said about the old one untrue.
        let related: &[&str] = match field {
            "source" => &[
                "source_environment",
                "source_resource",
                "image",
                "tags",
                "tags_value",
                "kind",
            ],
            "tags" => &["tags_value"],
            "source_environment" => &["source_resource"],
            "source_resource" => &["name", "key"],
            "name" => &["key"],
            "binding" => &["digest"],
            _ => &[],
        };
        for field in related.iter().copied().chain([field]) {
            if self.errors.with_untracked(|errors| errors.get(field).is_some()) {
                self.recheck(field);
            }
        }
    }

    /// A field was left: says what is wrong with it, unless it is still empty. While a pointer is pressed nothing may
    /// move, or a button would slip away from under it.
    pub(super) fn left(self, target: Option<web_sys::EventTarget>) {
        let is_empty = target
            .as_ref()
            .and_then(|target| target.dyn_ref::<HtmlInputElement>())
            .is_none_or(|input| input.value().trim().is_empty());
        match field_name(target) {
            Some(field) if !is_empty && self.pressed.get_value() => self.left_pressed.set_value(Some(field)),
            Some(field) if !is_empty => self.check_left(&field),
            _ => {}
        }
    }

    /// Follows the pointer, in the browser.
    fn follow_pointer(self) {
        let down = window_event_listener(ev::pointerdown, move |_| self.pressed.set_value(true));
        let up = window_event_listener(ev::pointerup, move |_| self.released());
        let cancelled = window_event_listener(ev::pointercancel, move |_| self.released());
        on_cleanup(move || {
            down.remove();
            up.remove();
            cancelled.remove();
        });
    }

    fn released(self) {
        // After the click that comes with it.
        let later = move || {
            if self.pressed.try_get_value() == Some(true) {
                self.pressed.set_value(false);
                if let Some(field) = self.left_pressed.try_update_value(Option::take).flatten() {
                    self.check_left(&field);
                }
            }
        };
        set_timeout(later, Duration::ZERO);
    }

    fn check_left(self, field: &str) {
        if self.local_error(field).is_some() {
            self.recheck(field);
        }
    }

    /// Holds one field against the rules again.
    fn recheck(self, field: &str) {
        let message = self.local_error(field);
        // What stays as it was isn't shown anew: the list at the top would lose the focus.
        if self
            .errors
            .with_untracked(|errors| errors.get(field) == message.as_deref())
        {
            return;
        }
        self.errors.update(|errors| match message {
            // In its place, so that the list at the top stays in order.
            Some(message) => match errors.0.iter_mut().find(|error| error.field == field) {
                Some(error) => error.message = message,
                None => errors.add(field, message),
            },
            None => errors.0.retain(|error| error.field != field),
        });
        if self.errors.with_untracked(FieldErrors::is_empty) {
            self.listed.set(false);
        }
    }

    fn local_error(self, field: &str) -> Option<String> {
        let draft = self.draft.get_untracked();
        let errors = self.options.with_value(|options| draft.check(options)).err()?;
        errors.get(field).map(str::to_owned)
    }

    /// Rows were added or taken away: what was said about a row may be about another one now.
    pub(super) fn rows_changed(self) {
        // The inputs get their new names first.
        request_animation_frame(move || {
            self.read();
            let is_row = |field: &str| field.starts_with("ports[") || field.starts_with("env[");
            let had_errors = self
                .errors
                .with_untracked(|errors| errors.0.iter().any(|e| is_row(&e.field)));
            if had_errors {
                let draft = self.draft.get_untracked();
                let fresh = self.options.with_value(|options| draft.check(options)).err();
                self.errors.update(|errors| {
                    errors.0.retain(|error| !is_row(&error.field));
                    errors.0.extend(
                        fresh
                            .unwrap_or_default()
                            .0
                            .into_iter()
                            .filter(|error| is_row(&error.field)),
                    );
                });
            }
        });
    }

    /// What to send, when it meets every rule that the browser knows; shows what is wrong otherwise.
    pub(super) fn checked(self) -> Option<ResourceDraft> {
        let draft = self.read();
        self.failure.set(None);
        match self.options.with_value(|options| draft.check(options)) {
            Ok(_) => {
                self.errors.set(FieldErrors::default());
                self.listed.set(false);
                Some(draft)
            }
            Err(errors) => {
                self.refuse(AppError::Invalid(errors));
                None
            }
        }
    }

    /// Shows why it was not carried out, and leads there.
    pub(super) fn refuse(self, error: AppError) {
        let (errors, failure) = split(Some(error));
        self.listed.set(!errors.is_empty());
        self.errors.set(errors);
        self.failure.set(failure);
        request_animation_frame(move || {
            if let Some(box_at_top) = self
                .form
                .get_untracked()
                .and_then(|form| form.query_selector(&format!("#{}", form::SUMMARY)).ok().flatten())
                .and_then(|element| element.dyn_into::<HtmlElement>().ok())
            {
                _ = box_at_top.focus();
            }
        });
    }

    fn element(self, field: &str) -> Option<Element> {
        let form = self.form.get_untracked()?;
        form.query_selector(&format!("[name=\"{field}\"]")).ok().flatten()
    }

    /// Moves the focus to a field, once it is there.
    pub(super) fn focus_on(self, field: impl Into<String>) {
        let field = field.into();
        request_animation_frame(move || {
            if let Some(element) = self.element(&field).and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
                _ = element.focus();
            }
        });
    }
}

/// Errors by field, and what is no field's fault.
fn split(error: Option<AppError>) -> (FieldErrors, Option<AppError>) {
    match error {
        Some(AppError::Invalid(errors)) => (errors, None),
        other => (FieldErrors::default(), other),
    }
}

/// Keeps the chosen resource when the environment has one of that name, or takes the only one.
fn choose_resource(draft: &mut ResourceDraft, options: &FormOptions) {
    let offered = options
        .environment(&draft.source_environment)
        .map_or(&[][..], |environment| &environment.resources);
    if !offered.iter().any(|r| r.name.as_str() == draft.source_resource) {
        draft.source_resource = match offered {
            [only] => only.name.to_string(),
            _ => String::new(),
        };
    }
}

/// The form as it would be posted.
fn typed(form: &HtmlFormElement) -> Option<ResourceDraft> {
    let data: JsValue = FormData::new_with_form(form).ok()?.into();
    let body = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    form::read(&String::from(body.to_string())).ok()
}

fn field_name(target: Option<web_sys::EventTarget>) -> Option<String> {
    target?.dyn_into::<Element>().ok()?.get_attribute("name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::draft::{SourceEnvironment, SourceResource};

    fn environment(name: &str, resources: &[&str]) -> SourceEnvironment {
        SourceEnvironment {
            name: name.parse().unwrap(),
            resources: resources
                .iter()
                .map(|name| SourceResource {
                    kind: domain::resource::Kind::Deployment,
                    name: name.parse().unwrap(),
                    declared: Default::default(),
                    since: None,
                    recent: Vec::new(),
                })
                .collect(),
            not_promotable: Vec::new(),
        }
    }

    #[test]
    fn another_environment_keeps_the_resource_of_the_same_name() {
        let options = FormOptions {
            environment: "production".parse().unwrap(),
            taken: Vec::new(),
            taken_keys: Vec::new(),
            values_path: String::new(),
            creates_file: false,
            values_prefix: String::new(),
            environments: vec![environment("staging", &["api", "web"]), environment("qa", &["web"])],
            other_environments: Vec::new(),
            repositories: Vec::new(),
            gates: Vec::new(),
        };
        for (environment, before, after) in [
            ("staging", "web", "web"),
            ("staging", "gone", ""),
            ("qa", "api", "web"),
            ("", "api", ""),
        ] {
            let mut draft = ResourceDraft {
                source_environment: environment.into(),
                source_resource: before.into(),
                ..ResourceDraft::default()
            };
            choose_resource(&mut draft, &options);
            assert_eq!(draft.source_resource, after, "{environment} {before}");
        }
    }
}
