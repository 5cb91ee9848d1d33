//! What changes in the image: before and after, with what the builder says about each.

use crate::components::{digest_chip::DigestChip, time::Ago};
use domain::{
    artifact::{ArtifactDetails, ExactImage},
    bytes,
    time::Timestamp,
};
use leptos::prelude::*;

/// An image, and what its builder says about it, once known.
pub type Image<'a> = (&'a ExactImage, Option<&'a ArtifactDetails>);

/// The images before and after.
#[must_use]
pub fn image_change(before: Option<Image<'_>>, after: Image<'_>, now: Signal<Timestamp>) -> AnyView {
    let is_same = before.is_some_and(|(previous, _)| previous.digest == after.0.digest);
    let before = match before {
        Some(before) => facts(before, now),
        None => view! { <p class="muted">"Nothing ran here before."</p> }.into_any(),
    };
    view! {
        <div class="image-change">
            <section>
                <h3>"Before"</h3>
                {before}
            </section>
            <section>
                <h3>"After"</h3>
                {facts(after, now)}
            </section>
        </div>
        {is_same.then(|| view! { <p class="muted">"The image stays the same."</p> })}
    }
    .into_any()
}

fn facts((image, details): Image<'_>, now: Signal<Timestamp>) -> AnyView {
    let known = details.map(|details| {
        let built = details.created_at.filter(|at| at.0 > 0);
        let size = (details.size_bytes > 0).then(|| bytes::shown(details.size_bytes));
        let platforms = (!details.platforms.is_empty()).then(|| details.platforms.join(", "));
        view! {
            {fact("Revision", details.revision().map(mono))}
            {fact("Source", details.source().map(link))}
            {fact("Run", details.run().map(link))}
            {fact("Built", built.map(|at| view! { <Ago at now /> }.into_any()))}
            {fact("Size", size.map(IntoAny::into_any))}
            {fact("Platforms", platforms.map(IntoAny::into_any))}
        }
    });
    let unknown = known
        .is_none()
        .then(|| view! { <p class="muted small">"The registry hasn't been asked about it yet."</p> });
    view! {
        <p>
            <DigestChip image=image.clone() tag=true copy=true />
        </p>
        <dl class="facts">{fact("Repository", Some(mono(image.repository.as_str())))} {known}</dl>
        {unknown}
    }
    .into_any()
}

fn fact(term: &'static str, value: Option<AnyView>) -> Option<AnyView> {
    value.map(|value| {
        view! {
            <dt>{term}</dt>
            <dd>{value}</dd>
        }
        .into_any()
    })
}

fn mono(text: &str) -> AnyView {
    view! { <span class="mono">{text.to_owned()}</span> }.into_any()
}

/// A link when it is a web address, the text otherwise: labels are a builder's claims, and other schemes may run code.
fn link(text: &str) -> AnyView {
    if is_web(text) {
        view! {
            <a href=text.to_owned() rel="noreferrer">
                {text.to_owned()}
            </a>
        }
        .into_any()
    } else {
        mono(text)
    }
}

/// Whether a text is an address that a browser may safely be led to.
pub(crate) fn is_web(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        for good in ["https://git.example.com/myapp/api", "http://ci/run/1"] {
            assert!(is_web(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "HTTPS://x",
            "https://",
            "https://a b",
            "git@example.com:a/b",
            "",
        ] {
            assert!(!is_web(bad), "{bad}");
        }
    }
}
