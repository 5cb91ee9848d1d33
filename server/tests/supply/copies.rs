//! Copies, read by others: what cosign signed and attested at the source it verifies at the copy with the same command, and crane, oras and
//! skopeo read the copy, add to it, or made a part of it before.
//!
//! From and to both kinds of registries: where one keeps a list of what refers to an image and the other keeps none, Waybill writes the tag
//! that stands for the list, or relies on the registry to make the list of what it is given.

use crate::{
    OLD_FORM, REGISTRIES,
    world::{Image, Place, RegistryKind, World},
};
use domain::gate::Found;
use serde_json::Value;
use std::collections::BTreeSet;

/// The program, how it is asked to sign and attest, and how to verify that.
const FORMS: [Form; 8] = [
    OLDEST,
    Form {
        how: &["--tlog-upload=false", "--new-bundle-format"],
        ..OLD_BUNDLE
    },
    OLD_REFERRER,
    OLD_BUNDLE,
    Form {
        program: "cosign-3.0.6",
        ..NEWEST
    },
    NEWEST,
    Form {
        program: "cosign-3.0.6",
        how: OLD_FORM,
        ..OLDEST
    },
    Form {
        program: "cosign-3.1.3",
        how: OLD_FORM,
        ..OLDEST
    },
];
/// Signature and attestations are under tags of cosign.
const OLDEST: Form = Form {
    program: "cosign-2.6.5",
    how: &["--tlog-upload=false"],
    verify: &["--insecure-ignore-tlog=true"],
    location: Location::Tags,
};
/// The signature is a referrer. cosign writes no attestations in this form.
const OLD_REFERRER: Form = Form {
    how: &["--tlog-upload=false", "--registry-referrers-mode=oci-1-1"],
    verify: &["--insecure-ignore-tlog=true", "--experimental-oci11"],
    location: Location::Referrer,
    ..OLDEST
};
const OLD_BUNDLE: Form = Form {
    program: "cosign-2.6.5",
    how: &["--new-bundle-format", "--signing-config=services.json"],
    verify: &[
        "--insecure-ignore-tlog=true",
        "--new-bundle-format",
        "--trusted-root=root.json",
    ],
    location: Location::Bundles,
};
const NEWEST: Form = Form {
    program: "cosign-3.1.3",
    how: &["--signing-config=services.json"],
    verify: &["--insecure-ignore-tlog=true", "--trusted-root=root.json"],
    location: Location::Bundles,
};
const PROVENANCE: (&str, &str) = ("slsaprovenance1", "provenance.json");
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const OLD_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SBOM: &str = "application/spdx+json";

/// Where cosign puts what it signs and attests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    Tags,
    Referrer,
    Bundles,
}

#[derive(Debug)]
struct Form {
    program: &'static str,
    how: &'static [&'static str],
    verify: &'static [&'static str],
    location: Location,
}

impl Form {
    /// Whether attestations have this form, too.
    fn attests(&self) -> bool {
        self.location != Location::Referrer
    }

    /// Signs and attests with our key.
    async fn sign_and_attest(&self, world: &World, image: &Image) {
        world.sign(self.program, "ours", self.how, image).await;
        if self.attests() {
            world.attest(self.program, "ours", self.how, PROVENANCE, image).await;
        }
    }

    /// Verifies the signature of one key. The error is what cosign writes.
    async fn verify_signature(&self, world: &World, key: &str, image: &Image) -> Result<String, String> {
        self.ask(world, &["verify"], key, image).await
    }

    /// Verifies the signature, and the attestation where there is one; each command must succeed.
    async fn verify(&self, world: &World, image: &Image) {
        self.verify_signature(world, "ours", image).await.unwrap();
        let stranger = self.verify_signature(world, "theirs", image).await;
        assert!(stranger.is_err(), "{stranger:?}");
        if self.attests() {
            self.verify_attestation(world, image).await.unwrap();
        }
    }

    /// Verifies the signature of each of these keys.
    async fn verify_keys(&self, world: &World, keys: &[&str], kind: RegistryKind, image: &Image) {
        // Of several old referrers cosign reads only the last in the list, and warns. The registry that keeps the list sends it in a random
        // order: each referrer comes last at some time.
        let (tries, wanted) = match (self.location, kind) {
            (Location::Referrer, RegistryKind::WithList) => (64, keys.len()),
            (Location::Referrer, RegistryKind::WithoutList) => (1, 1),
            (Location::Tags | Location::Bundles, _) => (1, keys.len()),
        };
        if self.location == Location::Referrer {
            let listed = discover(world, image, &["--artifact-type", OLD_SIGNATURE]).await;
            assert_eq!(listed.len(), keys.len(), "{listed:?}");
        }
        let (mut verified, mut failed) = (0, Vec::new());
        for key in keys {
            let mut last = self.verify_signature(world, key, image).await;
            for _ in 1..tries {
                if last.is_err() {
                    last = self.verify_signature(world, key, image).await;
                }
            }
            match last {
                Ok(_) => verified += 1,
                Err(error) => failed.push(error),
            }
        }
        assert_eq!(verified, wanted, "{failed:?}");
    }

    async fn verify_attestation(&self, world: &World, image: &Image) -> Result<String, String> {
        let command = ["verify-attestation", "--type=slsaprovenance1"];
        self.ask(world, &command, "ours", image).await
    }

    async fn ask(&self, world: &World, command: &[&str], key: &str, image: &Image) -> Result<String, String> {
        let (key, reference) = (format!("--key={key}.pub"), image.reference());
        let common = [&key, "--allow-http-registry", &reference];
        let arguments = [command, self.verify, &common].concat();
        let said = world.attempt(self.program, &arguments).await;
        said.map_err(|error| format!("{} {arguments:?}: {error}", self.program))
    }
}

/// A tool that copies images.
#[derive(Debug)]
struct Tool {
    program: &'static str,
    command: &'static [&'static str],
    /// What stands in front of a reference.
    scheme: &'static str,
    /// Whether it copies the referrers of an image. No tool copies the tags of cosign.
    takes_referrers: bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        program: "crane-0.22.1",
        command: &["copy"],
        scheme: "",
        takes_referrers: false,
    },
    Tool {
        program: "skopeo",
        command: &[
            "copy",
            "--all",
            "--preserve-digests",
            "--insecure-policy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ],
        scheme: "docker://",
        takes_referrers: false,
    },
    ORAS,
];
const ORAS: Tool = Tool {
    program: "oras-1.3.6",
    command: &["cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http"],
    scheme: "",
    takes_referrers: true,
};

impl Tool {
    async fn copy(&self, world: &World, from: &Image, to: &Image) {
        let references = [from, to].map(|image| format!("{}{}", self.scheme, image.reference()));
        let references = references.each_ref().map(String::as_str);
        world.run(self.program, &[self.command, &references].concat()).await;
    }
}

async fn places() -> Vec<(RegistryKind, Place)> {
    let mut places = Vec::new();
    for kind in REGISTRIES {
        places.push((kind, Place::new(kind).await));
    }
    places
}

/// Copies an image. Nothing may be left out.
async fn copy(image: &Image, to: &Place) -> Image {
    let (copy, proof) = image.copy(to).await;
    assert_eq!(proof.left_out, [""; 0]);
    copy
}

/// The referrers of an image, and theirs, as oras lists them.
async fn discover(world: &World, image: &Image, only: &[&str]) -> BTreeSet<String> {
    fn add(found: &mut BTreeSet<String>, of: &Value) {
        for entry in of["referrers"].as_array().into_iter().flatten() {
            found.insert(entry["digest"].as_str().unwrap().to_owned());
            add(found, entry);
        }
    }
    let reference = image.reference();
    let common = ["discover", "--plain-http", "--format=json", &reference];
    let said = world.run("oras-1.3.6", &[&common[..], only].concat()).await;
    let mut found = BTreeSet::new();
    add(&mut found, &serde_json::from_str(&said).unwrap());
    found
}

/// In a copy, and in a copy of the copy.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_a_copy_with_the_same_command() {
    for from in REGISTRIES {
        let (world, places, last) = (World::new(from).await, places().await, places().await);
        for form in &FORMS {
            let image = world.push().await;
            form.sign_and_attest(&world, &image).await;
            form.verify(&world, &image).await;
            let found = world.found(&image).await;
            for (to, place) in &places {
                let there = copy(&image, place).await;
                form.verify(&world, &there).await;
                assert_eq!(world.found(&there).await, found, "{from:?} {to:?} {form:?}");
                for (on, place) in &last {
                    let last = copy(&there, place).await;
                    form.verify(&world, &last).await;
                    assert_eq!(world.found(&last).await, found, "{from:?} {to:?} {on:?} {form:?}");
                }
            }
        }
    }
}

/// cosign signs the index and every manifest that it names, and attests one platform.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_every_manifest_of_a_copied_index() {
    for from in REGISTRIES {
        let (world, places) = (World::new(from).await, places().await);
        for form in &FORMS {
            let image = world.push_index().await;
            let how = [form.how, &["--recursive"]].concat();
            world.sign(form.program, "ours", &how, &image).await;
            let entries = world.entries(&image).await;
            assert_eq!(entries.len(), 4);
            if form.attests() {
                let platform = &entries[0];
                world.attest(form.program, "ours", form.how, PROVENANCE, platform).await;
            }
            for (to, place) in &places {
                let there = copy(&image, place).await;
                let at = format!("{from:?} {to:?} {form:?}");
                form.verify_signature(&world, "ours", &there).await.expect(&at);
                for entry in &entries {
                    let entry = there.sibling(entry.digest.as_str());
                    form.verify_signature(&world, "ours", &entry).await.expect(&at);
                }
                if form.attests() {
                    let platform = there.sibling(entries[0].digest.as_str());
                    form.verify_attestation(&world, &platform).await.expect(&at);
                }
            }
        }
    }
}

/// The SBOM that cosign attached, its attestations and its signatures.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_downloads_from_a_copy_what_it_downloads_from_the_source() {
    for from in REGISTRIES {
        let (world, places) = (World::new(from).await, places().await);
        for form in FORMS.iter().filter(|form| form.attests()) {
            let image = world.push().await;
            let download = async |image: &Image, what: &str| {
                let command = ["download", what, "--allow-http-registry", &image.reference()];
                let said = world.attempt(form.program, &command).await.ok()?;
                let lines: BTreeSet<String> = said.lines().map(str::to_owned).collect();
                Some(lines).filter(|lines| !lines.is_empty())
            };
            form.sign_and_attest(&world, &image).await;
            let (reference, file) = (image.reference(), ["--sbom=sbom.json", "--type=spdx"]);
            let attach = [&["attach", "sbom"], &file[..], &["--allow-http-registry", &reference]];
            world.run(form.program, &attach.concat()).await;
            for (to, place) in &places {
                let there = copy(&image, place).await;
                for what in ["sbom", "attestation", "signature"] {
                    let downloaded = download(&there, what).await;
                    // cosign 2 downloads no signatures from bundles.
                    let is_unable =
                        what == "signature" && form.location == Location::Bundles && form.program == OLDEST.program;
                    assert_eq!(downloaded.is_none(), is_unable, "{from:?} {to:?} {form:?} {what}");
                    assert_eq!(
                        downloaded,
                        download(&image, what).await,
                        "{from:?} {to:?} {form:?} {what}"
                    );
                }
            }
        }
    }
}

/// Somebody in the target has signed the same image with their own key: both are verified afterwards, and who signs next adds to them.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_what_others_signed_at_the_target_before() {
    for from in REGISTRIES {
        let (world, places) = (World::new(from).await, places().await);
        for form in &FORMS {
            for (to, place) in &places {
                // Without any signature; then both sides sign.
                let image = world.push().await;
                let there = copy(&image, place).await;
                world.sign(form.program, "theirs", form.how, &there).await;
                world.sign(form.program, "ours", form.how, &image).await;
                copy(&image, place).await;
                let at = format!("{from:?} {to:?} {form:?}");
                form.verify_keys(&world, &["ours", "theirs"], *to, &there).await;
                world.sign(form.program, "others", form.how, &there).await;
                form.verify_keys(&world, &["ours", "theirs", "others"], *to, &there)
                    .await;
                for key in ["ours", "theirs", "others"] {
                    assert_eq!(world.found_of(key, &there).await[0], Found::Valid, "{at} {key}");
                }
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn other_tools_read_a_copy() {
    for from in REGISTRIES {
        let (world, places) = (World::new(from).await, places().await);
        let image = world.push_index().await;
        let form = &NEWEST;
        form.sign_and_attest(&world, &image).await;
        // An SBOM that has signatures of its own.
        let (kind, reference) = (format!("--artifact-type={SBOM}"), image.reference());
        let attach = [
            "attach",
            "--plain-http",
            "--format=json",
            &kind,
            &reference,
            "sbom.json:application/spdx+json",
        ];
        let attached: Value = serde_json::from_str(&world.run("oras-1.3.6", &attach).await).unwrap();
        let sbom = image.sibling(attached["digest"].as_str().unwrap());
        world.sign(form.program, "ours", form.how, &sbom).await;
        world.sign(OLDEST.program, "ours", OLDEST.how, &sbom).await;
        for (to, place) in &places {
            let there = copy(&image, place).await;
            let at = format!("{from:?} {to:?}");
            let [here, references] = [&image, &there].map(Image::reference);

            let manifest = async |reference: &str| world.run("crane-0.22.1", &["manifest", reference]).await;
            assert_eq!(manifest(&here).await, manifest(&references).await);
            // Not the whole index: crane refuses the attestations of BuildKit, at the source too, because they are no images.
            for platform in &world.entries(&there).await[..2] {
                let platform = platform.reference();
                world.run("crane-0.22.1", &["validate", "--remote", &platform]).await;
            }

            let (scheme, insecure) = (format!("docker://{references}"), "--tls-verify=false");
            let inspected = world.run("skopeo", &["inspect", insecure, &scheme]).await;
            assert!(inspected.contains(there.digest.as_str()), "{inspected}");
            let whole = [
                "copy",
                "--all",
                "--preserve-digests",
                "--insecure-policy",
                "--src-tls-verify=false",
                &scheme,
            ];
            world.run("skopeo", &[&whole[..], &["dir:whole"]].concat()).await;

            let found = discover(&world, &there, &[]).await;
            assert_eq!(found.len(), 4, "two bundles, the SBOM and its bundle, {at}");
            assert_eq!(found, discover(&world, &image, &[]).await, "{at}");
            let [tag, copied_tag] =
                [&image, &there].map(|of| format!("{}.sig", of.sibling(sbom.digest.as_str()).list_tag()));
            assert_eq!(manifest(&tag).await, manifest(&copied_tag).await);
            let sbom = there.sibling(sbom.digest.as_str());
            form.verify_signature(&world, "ours", &sbom).await.expect(&at);
        }
    }
}

/// The registry that keeps the list gives the wrong type for bundles. The list of the copy must have the right one.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn a_list_that_waybill_writes_can_be_filtered_by_type() {
    let (world, place) = (
        World::new(RegistryKind::WithList).await,
        Place::new(RegistryKind::WithoutList).await,
    );
    for form in FORMS.iter().filter(|form| form.location != Location::Tags) {
        let image = world.push().await;
        form.sign_and_attest(&world, &image).await;
        let there = copy(&image, &place).await;
        let kind = match form.location {
            Location::Referrer => OLD_SIGNATURE,
            Location::Bundles | Location::Tags => BUNDLE,
        };
        let found = discover(&world, &there, &["--artifact-type", kind]).await;
        assert_eq!(found, discover(&world, &image, &[]).await, "{form:?}");
    }
}

/// Including the wrong types that old versions write.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn a_list_that_cosign_wrote_is_copied_byte_for_byte() {
    let (world, place) = (
        World::new(RegistryKind::WithoutList).await,
        Place::new(RegistryKind::WithoutList).await,
    );
    for form in FORMS.iter().filter(|form| form.location != Location::Tags) {
        let image = world.push().await;
        form.sign_and_attest(&world, &image).await;
        let there = copy(&image, &place).await;
        let [here, there] = [&image, &there].map(Image::list_tag);
        let list = async |tag: &str| world.run("crane-0.22.1", &["manifest", tag]).await;
        assert_eq!(list(&here).await, list(&there).await, "{form:?}");
    }
}

/// Waybill adds what the other tool left behind, and sends nothing twice.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn a_copy_completes_the_copy_of_another_tool() {
    for from in REGISTRIES {
        let world = World::new(from).await;
        for to in REGISTRIES {
            let (place, empty) = (Place::new(to).await, Place::new(RegistryKind::WithoutList).await);
            for tool in &TOOLS {
                for form in &FORMS {
                    let (image, at) = (world.push_index().await, format!("{from:?} {to:?} {tool:?} {form:?}"));
                    let (_, unsigned) = image.copy(&empty).await;
                    form.sign_and_attest(&world, &image).await;
                    let there = image.copy_in(&place);
                    tool.copy(&world, &image, &there).await;
                    let is_whole = tool.takes_referrers && form.location != Location::Tags;
                    let before = form.verify_signature(&world, "ours", &there).await;
                    assert_eq!(before.is_ok(), is_whole, "{at}: {before:?}");

                    let (_, proof) = image.copy(&place).await;
                    assert_eq!(proof.left_out, [""; 0], "{at}");
                    assert!(proof.present >= unsigned.sent, "{at}: {proof:?}");
                    assert_eq!(proof.sent == 0, is_whole, "{at}: {proof:?}");
                    form.verify(&world, &there).await;
                    assert_eq!(world.found(&there).await, world.found(&image).await, "{at}");
                }
            }
        }
    }
}

/// oras copies the copy with its referrers to a third registry.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn oras_copies_a_copy_with_its_signatures() {
    for from in REGISTRIES {
        let (world, places, last) = (World::new(from).await, places().await, places().await);
        for form in FORMS.iter().filter(|form| form.location != Location::Tags) {
            let image = world.push_index().await;
            form.sign_and_attest(&world, &image).await;
            for (_, place) in &places {
                let there = copy(&image, place).await;
                for (_, place) in &last {
                    let last = there.copy_in(place);
                    ORAS.copy(&world, &there, &last).await;
                    form.verify(&world, &last).await;
                }
            }
        }
    }
}
