//! Fields of a form: label, control, help and error, tied together for every reader.

use domain::copy::Attachments;
use leptos::prelude::*;
use strum::VariantArray as _;

/// The id of a field's control, from its name in the form: `env[0][name]` gives `f-env-0-name`.
#[must_use]
pub fn field_id(name: &str) -> String {
    let mut id = String::from("f");
    let mut gap = true;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            if gap {
                id.push('-');
            }
            id.push(c);
            gap = false;
        } else {
            gap = true;
        }
    }
    id
}

/// What a text area is to hold. Everywhere else Leptos escapes texts; in this element it writes them as they are, and one that ends the
/// element would go on as a part of the page. The browser makes a text of it in any case.
#[must_use]
pub fn in_textarea(text: String) -> String {
    match cfg!(feature = "ssr") {
        true => text.replace('&', "&amp;").replace('<', "&lt;"),
        false => text,
    }
}

/// For `aria-describedby` of a control inside [`Field`]: its help and its error.
#[must_use]
pub fn described_by(name: &str) -> String {
    let id = field_id(name);
    format!("{id}-help {id}-error")
}

/// Label, help and error around a control of your own. The control needs `id=field_id(name)`, `name`,
/// `aria-describedby=described_by(name)` and `aria-invalid`.
#[component]
pub fn Field(
    /// The name in the form.
    name: String,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// A line of help.
    #[prop(optional, into)]
    help: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
    /// The control.
    children: Children,
) -> AnyView {
    around(&name, label, help, error, children())
}

fn around(name: &str, label: String, help: Option<String>, error: Signal<Option<String>>, control: AnyView) -> AnyView {
    let id = field_id(name);
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            {control}
            {below(&id, help, error)}
        </div>
    }
    .into_any()
}

/// Help and error below a control whose id is `id`.
#[must_use]
pub fn below(id: &str, help: Option<String>, error: Signal<Option<String>>) -> AnyView {
    let no_help = help.is_none();
    view! {
        <p class="help" id=format!("{id}-help") hidden=no_help>
            {help}
        </p>
        <p class="error" id=format!("{id}-error") hidden=move || error.with(Option::is_none)>
            {move || error.get()}
        </p>
    }
    .into_any()
}

/// A field of one line of text.
#[component]
pub fn TextField(
    /// The name in the form.
    #[prop(into)]
    name: String,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// What it holds at first; the browser keeps what is typed.
    #[prop(optional, into)]
    value: String,
    /// A line of help.
    #[prop(optional, into)]
    help: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
    /// `text`, `email`, `password`, …
    #[prop(default = "text")]
    kind: &'static str,
    /// `autocomplete`: `off`, `username`, …
    #[prop(default = "off")]
    autocomplete: &'static str,
    /// `inputmode`: `numeric`, …
    #[prop(optional)]
    inputmode: Option<&'static str>,
    /// An example of what to type.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    /// Whether it is written in the monospace: digests, paths, hosts.
    #[prop(optional)]
    mono: bool,
    /// Whether it must be filled in; the server says so, not the browser.
    #[prop(optional)]
    required: bool,
    /// Id of a `datalist` with suggestions.
    #[prop(optional, into)]
    list: Option<String>,
    /// Called with each change.
    #[prop(optional)]
    on_input: Option<Callback<String>>,
) -> AnyView {
    let id = field_id(&name);
    let describes = described_by(&name);
    let control = view! {
        <input
            class=if mono { "control mono" } else { "control" }
            id=id
            type=kind
            name=name.clone()
            value=value
            autocomplete=autocomplete
            autocapitalize="none"
            spellcheck="false"
            inputmode=inputmode
            placeholder=move || placeholder.get()
            list=list
            aria-required=required.then_some("true")
            aria-describedby=describes
            aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
            on:input=move |event| {
                if let Some(on_input) = on_input {
                    on_input.run(event_target_value(&event));
                }
            }
        />
    }
    .into_any();
    around(&name, label, help, error, control)
}

/// A list to choose one from; its options are the children.
#[component]
pub fn SelectField(
    /// The name in the form.
    #[prop(into)]
    name: String,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// A line of help.
    #[prop(optional, into)]
    help: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
    /// The options.
    children: Children,
) -> AnyView {
    let control = view! {
        <select
            class="control"
            id=field_id(&name)
            name=name.clone()
            aria-describedby=described_by(&name)
            aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
        >
            {children()}
        </select>
    }
    .into_any();
    around(&name, label, help, error, control)
}

/// A box to tick.
pub fn tick(name: &'static str, label: &'static str, is_ticked: bool) -> AnyView {
    view! {
        <label class="check">
            <input type="checkbox" id=field_id(name) name=name value="true" checked=is_ticked />
            {label}
        </label>
    }
    .into_any()
}

/// What goes along with an image that is copied.
pub fn attachments_field(name: &'static str, chosen: Attachments) -> AnyView {
    let options: Vec<AnyView> = Attachments::VARIANTS
        .iter()
        .map(|attachments| {
            let label = match attachments {
                Attachments::All => "Everything: signatures, attestations, SBOMs",
                Attachments::Signatures => "Signatures and attestations",
                Attachments::None => "Nothing",
            };
            view! {
                <option value=attachments.to_string() selected=*attachments == chosen>
                    {label}
                </option>
            }
            .into_any()
        })
        .collect();
    view! {
        <SelectField name=name label="Copies with each image">
            {options}
        </SelectField>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::field_id;

    #[test]
    fn ids_of_rows_are_apart() {
        assert_eq!(field_id("env[0][name]"), "f-env-0-name");
        assert_eq!(field_id("env[01][name]"), "f-env-01-name");
        assert_eq!(field_id("ports[1]"), "f-ports-1");
        assert_eq!(field_id("ingress_host"), "f-ingress_host");
    }
}
