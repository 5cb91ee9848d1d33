//! What one run took, what it asked the registries for, and what it left behind.

/// Requests that a registry has logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) all: usize,
    /// Of those, the ones about manifests.
    pub(crate) manifests: usize,
    /// Of those, the ones that carry bytes of blobs.
    pub(crate) contents: usize,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// Seconds of processors.
    pub(crate) work: f64,
    /// Peak of resident memory in MB.
    pub(crate) memory: f64,
    pub(crate) at_source: Requests,
    pub(crate) at_target: Requests,
    /// Referrers that are listed at the target afterwards, of how many.
    pub(crate) referrers: (usize, usize),
    /// Whether the tag of cosign is there, where the image has one.
    pub(crate) signature: Option<bool>,
}

impl Requests {
    /// Counts what a registry wrote into its log: lines of the form `… "GET /v2/… HTTP/1.1" 200 …`.
    pub(crate) fn of(log: &str) -> Self {
        let asked = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" \"")?;
            let (asked, _) = rest.split_once(" HTTP/1.1\" ")?;
            asked.split_once(' ')
        });
        let mut counted = Self::default();
        for (method, path) in asked {
            counted.all += 1;
            counted.manifests += usize::from(path.contains("/manifests/"));
            let is_content = match method {
                "GET" => path.contains("/blobs/"),
                "PUT" | "PATCH" => path.contains("/blobs/uploads/"),
                _ => false,
            };
            counted.contents += usize::from(is_content);
        }
        counted
    }
}

/// Reads what `time -f "%U %S %M"` wrote: seconds of processors, and MB.
pub(crate) fn measured(text: &str) -> Option<(f64, f64)> {
    let mut words = text.lines().last()?.split(' ').map(|word| word.parse::<f64>().ok());
    let (user, system, memory) = (words.next()??, words.next()??, words.next()??);
    Some((user + system, memory / 1000.0 * 1.024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_in_the_access_log() {
        let log = r#"time="x" level=info msg="response completed" http.request.method=GET
127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /v2/a/manifests/sha256:1 HTTP/1.1" 200 5 "" "x"
127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "HEAD /v2/a/blobs/sha256:1 HTTP/1.1" 200 5 "" "x"
127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /v2/a/blobs/sha256:1 HTTP/1.1" 200 5 "" "x"
127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "POST /v2/a/blobs/uploads/ HTTP/1.1" 202 0 "" "x"
127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "PUT /v2/a/blobs/uploads/1?x=y HTTP/1.1" 201 0 "" "x"
"#;
        let requests = Requests::of(log);
        assert_eq!((requests.all, requests.manifests, requests.contents), (5, 1, 2));
        assert_eq!(measured("0.50 0.25 20000\n"), Some((0.75, 20.48)));
        assert_eq!(measured("Command exited with non-zero status 1\n"), None);
    }
}
