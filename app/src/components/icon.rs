//! Icons: drawn once per page in [`sprite`], shown by name.

use leptos::prelude::*;

/// An icon by name; always decoration, a word stands beside it or names its button.
///
/// Names: those of [`sprite`]; `moving` turns.
#[must_use]
pub fn icon(name: &'static str) -> AnyView {
    let class = if name == "moving" { "icon turns" } else { "icon" };
    view! { <svg class=class viewBox="0 0 16 16" aria-hidden="true" inner_html=drawn(name)></svg> }.into_any()
}

fn drawn(name: &str) -> String {
    format!("<use href=\"#i-{name}\"></use>")
}

/// All icons, for the document's body, after the app: the browser's half never touches it.
#[must_use]
pub fn sprite() -> impl IntoView {
    let all: String = DRAWINGS
        .iter()
        .map(|(name, shape)| format!("<symbol id=\"i-{name}\" viewBox=\"0 0 16 16\">{shape}</symbol>"))
        .collect();
    view! { <svg hidden aria-hidden="true" inner_html=all></svg> }
}

/// Strokes on a grid of 16 × 16, drawn for Waybill.
const DRAWINGS: &[(&str, &str)] = &[
    (
        "waybill",
        r#"<path d="M2.5 5.5 8 2.5l5.5 3v5L8 13.5l-5.5-3zM2.5 5.5 8 8.5l5.5-3M8 8.5v5"/>"#,
    ),
    (
        "good",
        r#"<circle cx="8" cy="8" r="6"/><path d="m5.5 8.2 1.8 1.8 3.2-3.8"/>"#,
    ),
    ("moving", r#"<path d="M14 8a6 6 0 1 1-6-6"/>"#),
    ("waiting", r#"<circle cx="8" cy="8" r="6"/><path d="M8 4.8V8l2 1.6"/>"#),
    ("bad", r#"<circle cx="8" cy="8" r="6"/><path d="M8 5v3.4M8 10.9v.1"/>"#),
    ("held", r#"<circle cx="8" cy="8" r="6"/><path d="M6.5 6v4M9.5 6v4"/>"#),
    ("ended", r#"<circle cx="8" cy="8" r="6"/><path d="M5.5 8h5"/>"#),
    ("todo", r#"<circle cx="8" cy="8" r="6" stroke-dasharray="2 2.7"/>"#),
    (
        "unknown",
        r#"<circle cx="8" cy="8" r="6"/><path d="M6.4 6.4a1.7 1.7 0 1 1 2.3 1.7c-.5.2-.7.5-.7 1M8 11v.1"/>"#,
    ),
    (
        "drift",
        r#"<path d="M2.5 5.5h8M8 3l2.5 2.5L8 8M13.5 10.5h-8M8 8l-2.5 2.5L8 13"/>"#,
    ),
    (
        "inbox",
        r#"<path d="M2.5 9.5h3l1 2h3l1-2h3M2.5 9.5v3h11v-3l-2-6.5h-7z"/>"#,
    ),
    ("behind", r#"<path d="M8 12.5v-9M4.5 7 8 3.5 11.5 7"/>"#),
    ("arrow", r#"<path d="M2.5 8h11M9.5 4l4 4-4 4"/>"#),
    (
        "copy",
        r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 2.5h-6a2 2 0 0 0-2 2v6"/>"#,
    ),
    ("check", r#"<path d="m3 8.5 3.2 3.2L13 4.8"/>"#),
    (
        "lock",
        r#"<rect x="3.5" y="7" width="9" height="6.5" rx="1.5"/><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2"/>"#,
    ),
    (
        "git",
        r#"<circle cx="4.5" cy="3.8" r="1.5"/><circle cx="4.5" cy="12.2" r="1.5"/><circle cx="11.5" cy="5.8" r="1.5"/><path d="M4.5 5.3v5.4M11.5 7.3c0 2.4-3 2.2-5 3"/>"#,
    ),
    ("plus", r#"<path d="M8 3v10M3 8h10"/>"#),
    ("close", r#"<path d="m4 4 8 8M12 4l-8 8"/>"#),
    ("search", r#"<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>"#),
    ("menu", r#"<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>"#),
    (
        "projects",
        r#"<rect x="2.5" y="2.5" width="4.5" height="4.5" rx="1"/><rect x="9" y="2.5" width="4.5" height="4.5" rx="1"/><rect x="2.5" y="9" width="4.5" height="4.5" rx="1"/><rect x="9" y="9" width="4.5" height="4.5" rx="1"/>"#,
    ),
    (
        "board",
        r#"<rect x="2.5" y="2.5" width="11" height="11" rx="1.5"/><path d="M2.5 6.2h11M6.5 6.2v7.3"/>"#,
    ),
    ("activity", r#"<path d="M1.5 8.5h3l2-5 3 9 2-4h3"/>"#),
    (
        "settings",
        r#"<circle cx="10.5" cy="4.5" r="1.7"/><circle cx="5.5" cy="11.5" r="1.7"/><path d="M2.5 4.5h6.3M12.2 4.5h1.3M2.5 11.5h1.3M7.2 11.5h6.3"/>"#,
    ),
    (
        "light",
        r#"<circle cx="8" cy="8" r="2.8"/><path d="M8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1"/>"#,
    ),
    (
        "dark",
        r#"<path d="M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z"/>"#,
    ),
    (
        "system",
        r#"<rect x="2" y="3" width="12" height="8" rx="1.5"/><path d="M6 13.5h4M8 11v2.5"/>"#,
    ),
    ("retry", r#"<path d="M13.5 8A5.5 5.5 0 1 1 11.6 3.8M13.5 2v3.2h-3.2"/>"#),
    (
        "out",
        r#"<path d="M6.5 2.5h-3a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h3M6.5 8h7M10.5 5l3 3-3 3"/>"#,
    ),
];
