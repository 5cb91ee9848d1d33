//! The machine in words: what a reader needs to compare figures, and nothing that tells which machine it was.

use std::process::Command;

/// Lines of `name: value`.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let processor = file("/proc/cpuinfo");
    let model = value(&processor, "model name").unwrap_or_else(|| "unknown".into());
    let memory = value(&file("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").trim().parse::<u64>().ok())
        .map_or_else(|| "unknown".into(), |kib| format!("{} GiB", kib.div_ceil(1024 * 1024)));
    vec![
        ("processor", model),
        (
            "cores",
            std::thread::available_parallelism().map_or_else(|_| "unknown".into(), |n| n.to_string()),
        ),
        ("memory", memory),
        ("kernel", format!("Linux {}", file("/proc/sys/kernel/osrelease").trim())),
        ("git", said("git", "--version")),
        ("registry", said("docker-registry", "--version")),
    ]
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

pub(crate) fn said(program: &str, argument: &str) -> String {
    Command::new(program)
        .arg(argument)
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".into())
}
