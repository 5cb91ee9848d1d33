//! Copies, read by others: what cosign signed and attested at the source it verifies at the copy with the same command, and crane, oras and
//! skopeo read the copy.
//!
//! From and to both kinds of registries: where one keeps a list of what refers to an image and the other keeps none, Waybill writes the tag
//! that stands for the list, or relies on the registry to make the list of what it is given.

use crate::{
    REGISTRIES,
    world::{Image, Place, World},
};

/// The program, how it is asked to sign and attest, and how to verify that.
const FORMS: [Form; 4] = [
    Form {
        program: "cosign-2.6.5",
        how: &["--tlog-upload=false"],
        verify: &["--insecure-ignore-tlog=true"],
        attests: true,
    },
    Form {
        program: "cosign-2.6.5",
        how: &["--tlog-upload=false", "--new-bundle-format"],
        verify: &["--insecure-ignore-tlog=true", "--new-bundle-format"],
        attests: true,
    },
    Form {
        program: "cosign-2.6.5",
        how: &["--tlog-upload=false", "--registry-referrers-mode=oci-1-1"],
        verify: &["--insecure-ignore-tlog=true", "--experimental-oci11"],
        attests: false,
    },
    Form {
        program: "cosign-3.1.3",
        how: &["--signing-config=services.json"],
        verify: &["--insecure-ignore-tlog=true"],
        attests: true,
    },
];
const PROVENANCE: (&str, &str) = ("slsaprovenance1", "provenance.json");

struct Form {
    program: &'static str,
    how: &'static [&'static str],
    verify: &'static [&'static str],
    /// Whether attestations have this form, too.
    attests: bool,
}

impl Form {
    /// Verifies the signature, and the attestation where there is one; each command must succeed.
    async fn verify(&self, world: &World, image: &Image) {
        let reference = image.reference();
        let common = ["--key=ours.pub", "--allow-http-registry", &reference];
        world
            .run(self.program, &[&["verify"][..], self.verify, &common].concat())
            .await;
        if self.attests {
            let command = ["verify-attestation", "--type=slsaprovenance1"];
            world
                .run(self.program, &[&command[..], self.verify, &common].concat())
                .await;
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_a_copy_with_the_same_command() {
    for from in REGISTRIES {
        let world = World::new(from).await;
        for form in &FORMS {
            let image = world.push().await;
            world.sign(form.program, "ours", form.how, &image).await;
            if form.attests {
                world.attest(form.program, "ours", form.how, PROVENANCE, &image).await;
            }
            form.verify(&world, &image).await;
            for to in REGISTRIES {
                let place = Place::new(to).await;
                let (copy, proof) = image.copy(&place).await;
                assert!(proof.left_out.is_empty(), "{from:?} {to:?}: {:?}", proof.left_out);
                form.verify(&world, &copy).await;
                assert_eq!(world.found(&copy).await, world.found(&image).await, "{from:?} {to:?}");
            }
        }
    }
}

/// Somebody in the target has signed the same image with their own key: both are verified afterwards.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_what_others_signed_at_the_target_before() {
    for to in REGISTRIES {
        let world = World::new(to).await;
        for form in &FORMS {
            let (image, place) = (world.push().await, Place::new(to).await);
            // Without any signature; then both sides sign.
            let (copy, _) = image.copy(&place).await;
            world.sign(form.program, "theirs", form.how, &copy).await;
            world.sign(form.program, "ours", form.how, &image).await;
            let (_, proof) = image.copy(&place).await;
            assert!(proof.left_out.is_empty(), "{to:?}: {:?}", proof.left_out);
            let reference = copy.reference();
            for key in ["--key=ours.pub", "--key=theirs.pub"] {
                let command = ["verify", key, "--allow-http-registry", &reference];
                world.run(form.program, &[&command[..], form.verify].concat()).await;
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn other_tools_read_a_copy() {
    for from in REGISTRIES {
        let world = World::new(from).await;
        let image = world.push().await;
        let form = &FORMS[3];
        world.sign(form.program, "ours", form.how, &image).await;
        world.attest(form.program, "ours", form.how, PROVENANCE, &image).await;
        for to in REGISTRIES {
            let place = Place::new(to).await;
            let (copy, _) = image.copy(&place).await;
            let [here, there] = [image.reference(), copy.reference()];

            let manifest = async |reference: &str| world.run("crane-0.22.1", &["manifest", reference]).await;
            assert_eq!(manifest(&here).await, manifest(&there).await);
            world.run("crane-0.22.1", &["validate", "--remote", &there]).await;

            let (scheme, insecure) = (format!("docker://{there}"), "--tls-verify=false");
            let inspected = world.run("skopeo", &["inspect", insecure, &scheme]).await;
            assert!(inspected.contains(copy.digest.as_str()), "{inspected}");

            let discover = async |reference: &str| {
                let said = world
                    .run("oras-1.3.6", &["discover", "--plain-http", "--format=json", reference])
                    .await;
                let said: serde_json::Value = serde_json::from_str(&said).unwrap();
                let mut found: Vec<String> = (said["referrers"].as_array().into_iter().flatten())
                    .map(|entry| entry["digest"].as_str().unwrap().to_owned())
                    .collect();
                found.sort_unstable();
                found
            };
            let found = discover(&there).await;
            assert_eq!(found.len(), 2, "the signature and the attestation, {from:?} {to:?}");
            assert_eq!(found, discover(&here).await, "{from:?} {to:?}");
        }
    }
}
