//! What an address says behind its `?`, written.

use leptos_router::location::Url;

/// The query of these fields, `?` included; empty fields are left out, and it is empty when all are.
#[must_use]
pub(super) fn of(fields: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(key);
        query.push('=');
        query.push_str(&Url::escape(value));
    }
    query
}
