//! The digest chip: a mark of colours, the first 7 characters, the tag. The same image has the same mark everywhere.

use crate::components::icon::icon;
use domain::artifact::{Digest, ExactImage};
use leptos::{ev, prelude::*};
use std::time::Duration;
use wasm_bindgen::JsCast;

/// Number of colours in the tokens, `--mark-0` and on.
const COLOURS: usize = 12;

/// An image: mark and short digest, and the tag when `tag` is set. Hovering tells the full reference. With `copy`, a
/// button copies it (where a script runs and the browser lets it).
#[component]
pub fn DigestChip(
    /// What.
    image: ExactImage,
    /// Whether the tag stands beside it.
    #[prop(optional)]
    tag: bool,
    /// Whether there is a button that copies the full reference.
    #[prop(optional)]
    copy: bool,
) -> AnyView {
    let reference = image.reference();
    let shown_tag = image.tag.as_ref().filter(|_| tag).map(|tag| {
        view! { <span class="tag">{tag.to_string()}</span> }
    });
    let button = copy.then(|| copy_button(reference.clone(), "Copy reference"));
    view! {
        <span class="chip" title=reference>
            <span class="hex">{mark(&image.digest)}{image.digest.short().to_owned()}</span>
            {shown_tag}
            {button}
        </span>
    }
    .into_any()
}

/// A digest of which nothing else is known: mark and short digest.
#[component]
pub fn BareDigest(
    /// What.
    digest: Digest,
) -> AnyView {
    view! {
        <span class="chip" title=digest.to_string()>
            <span class="hex">{mark(&digest)}{digest.short().to_owned()}</span>
        </span>
    }
    .into_any()
}

/// A button that copies `text`; there only where a script can. `name` is what it does: "Copy reference".
#[must_use]
pub fn copy_button(text: String, name: &'static str) -> AnyView {
    view! {
        <button type="button" class="copy needs-clipboard" data-copy=text aria-label=name title=name>
            {icon("copy")}
            <svg class="icon done" viewBox="0 0 16 16" aria-hidden="true" inner_html="<use href=\"#i-check\"></use>"></svg>
        </button>
    }
    .into_any()
}

/// The mark of a digest: three bands of colour, upright or level.
#[must_use]
pub fn mark(digest: &Digest) -> AnyView {
    view! { <svg class="mark" viewBox="0 0 12 12" aria-hidden="true" inner_html=drawn(digest)></svg> }.into_any()
}

fn drawn(digest: &Digest) -> String {
    let (colours, level) = bands(digest);
    let mut shapes = String::new();
    for (i, colour) in colours.into_iter().enumerate() {
        let at = i * 4;
        let shape = if level {
            format!("M0 {at}h12v4H0z")
        } else {
            format!("M{at} 0v12h4V0z")
        };
        shapes.push_str(&format!("<path class=\"h{colour}\" d=\"{shape}\"/>"));
    }
    shapes
}

/// Colours of the bands, no neighbours alike, and whether they lie level: 2 × 12 × 11 × 11 marks.
fn bands(digest: &Digest) -> ([usize; 3], bool) {
    // Digests are evenly spread already; any part of one does.
    let n = usize::from_str_radix(&digest.hex()[..7], 16).unwrap_or_default();
    let first = n % COLOURS;
    let second = (first + 1 + n / COLOURS % (COLOURS - 1)) % COLOURS;
    let third = (second + 1 + n / (COLOURS * (COLOURS - 1)) % (COLOURS - 1)) % COLOURS;
    let level = n / (COLOURS * (COLOURS - 1) * (COLOURS - 1)) % 2 == 1;
    ([first, second, third], level)
}

/// Makes all copy buttons of the page work, and says in the document's root that there is a script (`data-scripted`)
/// and that it may copy (`data-clipboard`): the style shows what needs that. One listener, however many chips.
pub(crate) fn listen_for_copies() {
    Effect::new(|_| {
        let Some(root) = document().document_element() else {
            return;
        };
        let _ = root.set_attribute("data-scripted", "");
        let clipboard = window().navigator().clipboard();
        // Browsers withhold it from pages that came by plain HTTP from another machine.
        if clipboard.is_undefined() {
            return;
        }
        let _ = root.set_attribute("data-clipboard", "");
        window_event_listener(ev::click, move |event| {
            let button = event
                .target()
                .and_then(|t| t.dyn_into::<web_sys::Element>().ok())
                .and_then(|e| e.closest("[data-copy]").ok().flatten());
            if let Some(button) = button {
                let text = button.get_attribute("data-copy").unwrap_or_default();
                let name = button.get_attribute("title").unwrap_or_default();
                let _ = clipboard.write_text(&text);
                let _ = button.set_attribute("data-copied", "");
                let _ = button.set_attribute("aria-label", "Copied");
                set_timeout(
                    move || {
                        let _ = button.remove_attribute("data-copied");
                        let _ = button.set_attribute("aria-label", &name);
                    },
                    Duration::from_secs(2),
                );
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(start: &str) -> Digest {
        format!("sha256:{start}{}", "0".repeat(64 - start.len()))
            .parse()
            .unwrap()
    }

    #[test]
    fn the_same_digest_has_the_same_mark_and_others_have_others() {
        assert_eq!(bands(&digest("a1b2c3d")), bands(&digest("a1b2c3d")));
        let marks: std::collections::HashSet<_> = (0..100_u32)
            .map(|i| bands(&digest(&format!("{:07x}", i.wrapping_mul(2_654_435_761) >> 4))))
            .collect();
        assert!(marks.len() > 90, "of 100 digests only {} marks", marks.len());
    }

    #[test]
    fn neighbouring_bands_never_share_a_colour() {
        for i in 0..5000 {
            let ([a, b, c], _) = bands(&digest(&format!("{i:07x}")));
            assert!(a != b && b != c && a.max(b).max(c) < COLOURS);
        }
    }
}
