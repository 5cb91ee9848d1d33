//! Keyless signatures of the test bed's Sigstore instance: what cosign accepts Waybill accepts, and what one refuses the other refuses.

use crate::{
    REGISTRIES,
    world::{Image, RegistryKind, World},
};
use domain::{gate::Found, policy::Policy};
use serde_json::{Value, json};
use server::signature::{TrustedRoot, TrustedRoots, sought};
use testbed::sigstore::{Moments, Sigstore, Workload};

const THIRD: [&str; 2] = ["cosign-3.0.6", "cosign-3.1.3"];
const ROOT: &str = "trusted_root.json";

/// Whether Waybill accepts what hangs on an image.
async fn waybill(world: &World, image: &Image, who: &Workload, root: &str) -> bool {
    let policy = json!({ "signatures": [{ "name": "ci", "keyless": {
        "issuer": who.issuer, "identity": who.identity, "trustedRoot": "own", "sct": false } }] });
    let policy: Policy = serde_json::from_value(policy).unwrap();
    let roots = TrustedRoots::built_in().with("own", TrustedRoot::read(root).unwrap());
    let (_, sought) = sought(&policy, &roots).pop().unwrap();
    sought.find(&image.digest, &world.attached(image, sought.says()).await) == Found::Valid
}

/// Whether cosign does.
async fn cosign(world: &World, program: &str, image: &Image, who: &Workload, root: &str) -> Result<String, String> {
    world.write(ROOT, root);
    let (identity, issuer) = (&who.identity, &who.issuer);
    let arguments = [
        "verify",
        &format!("--certificate-identity={identity}"),
        &format!("--certificate-oidc-issuer={issuer}"),
        &format!("--trusted-root={ROOT}"),
        "--insecure-ignore-sct",
        "--allow-http-registry",
        &image.reference(),
    ];
    world.attempt(program, &arguments).await
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_and_waybill_accept_the_same_bundles() {
    let (sigstore, other) = (Sigstore::new().unwrap(), Sigstore::new().unwrap());
    let (root, other_root) = (sigstore.trusted_root(), other.trusted_root());
    let main = Workload::github("acme/api", "main");
    let dev = Workload::github("acme/api", "dev");
    let evil = Workload {
        identity: format!("{}-evil", main.identity),
        ..main.clone()
    };
    let elsewhere = Workload {
        issuer: "https://token.example.com".into(),
        ..main.clone()
    };
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        let (right, wrong) = (world.push_same().await, world.push().await);
        let sign =
            |by: &Sigstore, who: &Workload, digest: &str, after| by.sign(who, digest, Moments { after }).unwrap();
        let digest = right.digest.as_str();
        let valid = sign(&sigstore, &main, digest, 0);
        let of_another = sign(&sigstore, &main, wrong.digest.as_str(), 0);
        let part = |path: &str| -> Value {
            let mut bundle = valid.clone();
            *bundle.pointer_mut(path).unwrap() = of_another.pointer(path).unwrap().clone();
            bundle
        };
        let entry = "/verificationMaterial/tlogEntries/0";
        let cases = [
            ("valid", valid.clone(), &main, &root, true),
            ("another digest", of_another.clone(), &main, &root, false),
            ("another branch", sign(&sigstore, &dev, digest, 0), &main, &root, false),
            ("a longer name", sign(&sigstore, &evil, digest, 0), &main, &root, false),
            (
                "another provider",
                sign(&sigstore, &elsewhere, digest, 0),
                &main,
                &root,
                false,
            ),
            (
                "after it ended",
                sign(&sigstore, &main, digest, 700),
                &main,
                &root,
                false,
            ),
            ("of strangers", sign(&other, &main, digest, 0), &main, &root, false),
            ("by strangers' root", valid.clone(), &main, &other_root, false),
            ("another's entry", part(entry), &main, &root, false),
            (
                "another's promise",
                part(&format!("{entry}/inclusionPromise")),
                &main,
                &root,
                false,
            ),
            (
                "another's proof",
                part(&format!("{entry}/inclusionProof")),
                &main,
                &root,
                false,
            ),
            (
                "another's certificate",
                part("/verificationMaterial/certificate"),
                &main,
                &root,
                false,
            ),
        ];
        for (what, bundle, who, root, is_accepted) in cases {
            let image = world.push_same().await;
            world.hang_bundle(&image, &bundle).await;
            assert_eq!(
                waybill(&world, &image, who, root).await,
                is_accepted,
                "Waybill: {what}, {kind:?}"
            );
            for program in THIRD {
                let found = cosign(&world, program, &image, who, root).await;
                assert_eq!(found.is_ok(), is_accepted, "{program}: {what}, {kind:?}: {found:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_and_waybill_accept_the_same_older_signatures() {
    let sigstore = Sigstore::new().unwrap();
    let root = sigstore.trusted_root();
    let (main, dev) = (
        Workload::github("acme/api", "main"),
        Workload::github("acme/api", "dev"),
    );
    let world = World::new(RegistryKind::WithoutList).await;
    for (signer, asked, is_accepted) in [(&main, &main, true), (&dev, &main, false)] {
        let image = world.push().await;
        let document = json!({
            "critical": {
                "identity": { "docker-reference": image.repository.as_str() },
                "image": { "docker-manifest-digest": image.digest.as_str() },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let document = document.to_string().into_bytes();
        let (signature, mut annotations) = sigstore.sign_older(signer, &document).unwrap();
        annotations.insert("dev.cosignproject.cosign/signature".into(), signature);
        world.hang_simple(&image, &document, &annotations).await;
        assert_eq!(waybill(&world, &image, asked, &root).await, is_accepted);
        let found = cosign(&world, "cosign-2.6.5", &image, asked, &root).await;
        assert_eq!(found.is_ok(), is_accepted, "{found:?}");
    }
}
