//! One clock for everything that is compared: what the database holds, what a file system shows, what a client sees.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch.
#[allow(clippy::disallowed_methods, reason = "a measurement asks the system")]
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// The middle of the values; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value that `percent` of the values don't exceed (nearest rank); 0 of none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "there are few values"
)]
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(
            [0.0, 20.0, 50.0, 99.0, 100.0].map(|p| percentile(&values, p)),
            [1.0, 1.0, 3.0, 5.0, 5.0]
        );
        assert_eq!(median(&[]), 0.0);
    }
}
