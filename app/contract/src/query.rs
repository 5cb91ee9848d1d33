//! What an address says behind its `?`, written.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is besides letters and digits: RFC 3986, 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The query of these fields, `?` included; empty fields are left out, and it is empty when all are.
#[must_use]
pub(crate) fn of(fields: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(key);
        query.push('=');
        query.extend(utf8_percent_encode(value, ESCAPED));
    }
    query
}
