//! The commands as a person runs them.

use std::{path::Path, process::Command};

fn waybill(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybill"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("WAYBILL_DATA_DIR", directory.join("data"))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_token_is_printed_once_and_alone() {
    let directory = tempfile::tempdir().unwrap();
    let create = |more: &[&str]| {
        let arguments = [&["token", "create", "--name", "ci", "--role", "developer"], more].concat();
        waybill(directory.path(), &arguments)
    };
    let (code, out, err) = create(&["--workspace", "demo"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("There is no workspace \"demo\""), "{err}");
    let (code, out, err) = create(&["--workspace", "demo", "--create-workspace", "--expires", "90d"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.starts_with("wb_") && out.len() == 47 && out.ends_with('\n'),
        "{out:?}"
    );
    assert!(err.contains("workspace demo") && !err.contains(out.trim()), "{err}");
    let (code, out, err) = create(&[]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("--name: There is a token ci already"), "{err}");
}

#[test]
fn mistakes_in_a_file_are_said_by_line_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let apply = |text: &str| {
        std::fs::write(directory.path().join("demo.yaml"), text).unwrap();
        waybill(
            directory.path(),
            &[
                "apply",
                "-f",
                "demo.yaml",
                "--token",
                "wb_x",
                "--server",
                "http://127.0.0.1:1",
            ],
        )
    };
    let (code, out, err) = apply("workspace: demo\nprojets: []\n");
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "waybill: demo.yaml: line 2: projets: there is no field projets here; did you mean projects?\n"
    );

    let file = "workspace: demo\nprojects:\n  - name: My app\n    repository:\n      url: gitops\n    pathTemplate: values.yaml\n";
    let (code, _, err) = apply(file);
    assert_eq!(code, 2);
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "all mistakes at once: {err}");
    assert!(
        lines[0].starts_with("waybill: demo.yaml: line 3: projects[0].name: "),
        "{err}"
    );
    assert!(
        lines[1].starts_with("waybill: demo.yaml: line 5: projects[0].repository.url: "),
        "{err}"
    );
    assert!(
        lines[2].starts_with("waybill: demo.yaml: line 6: projects[0].pathTemplate: "),
        "{err}"
    );

    let (code, _, err) =
        apply("workspace: demo\nclusters:\n  - name: a\n    argocd: { url: http://a, token: { env: NOBODY } }\n");
    assert_eq!(code, 2);
    assert_eq!(
        err,
        "waybill: demo.yaml: line 4: clusters[0].argocd.token: the environment variable NOBODY is not set\n"
    );

    let (code, _, err) = apply("workspace: demo\n");
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("Waybill could not be reached at http://127.0.0.1:1"),
        "{err}"
    );
}

#[test]
fn the_version_and_the_absence_of_a_file_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = waybill(directory.path(), &["--version"]);
    assert_eq!(
        (code, out.as_str()),
        (0, concat!("waybill ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let (code, _, err) = waybill(directory.path(), &["apply", "-f", "none.yaml"]);
    assert_eq!(code, 2);
    assert!(err.contains("The file none.yaml can't be read"), "{err}");
    let (code, _, err) = waybill(directory.path(), &["serve", "--config", "none.toml"]);
    assert_eq!(code, 2, "{err}");
}
