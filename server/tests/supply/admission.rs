//! The recipes of `docs/statements.md` with which a cluster demands statements, run by the tools that they are for: what they let in, and what
//! they keep out. Both tools decide here as they do in a cluster, and ask none.

use crate::{
    OLD_FORM, REGISTRIES,
    statements::hang,
    world::{Image, RegistryKind, World},
};
use domain::statement::StatementForm;
use server::signature::SigningKey;

const KYVERNO: &str = "kyverno-1.19.1";
const POLICY_CONTROLLER: &str = "policy-tester-0.14.0";
const FORMS: [StatementForm; 2] = [StatementForm::Bundle, StatementForm::Attachment];
const DOCUMENT: &str = include_str!("../../../docs/statements.md");
/// The images that the recipes are about.
const IMAGES: &str = "registry.example.com/acme/";

/// The recipe of that kind, with the key and the images of a test in the place of its examples.
fn recipe(kind: &str, key: &SigningKey, image: &Image) -> String {
    let blocks = DOCUMENT.split("```yaml\n").skip(1);
    let mut recipes = blocks
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| block.contains(&format!("kind: {kind}\n")));
    let recipe = recipes.next().expect("the document has it");
    assert!(recipes.next().is_none(), "once");
    let (before, rest) = recipe.split_once("-----BEGIN PUBLIC KEY-----").unwrap();
    let (_, after) = rest.split_once("-----END PUBLIC KEY-----").unwrap();
    let indent = before.rsplit('\n').next().unwrap();
    let key = key.public_pem().trim().replace('\n', &format!("\n{indent}"));
    let recipe = format!("{before}{key}{after}");
    assert!(recipe.contains(IMAGES));
    let host = image.repository.registry();
    recipe.replace(IMAGES, &format!("{host}/acme/"))
}

/// An image with statements for these environments, in that form.
async fn stated(world: &World, form: StatementForm, environments: &[&str]) -> Image {
    let image = world.push().await;
    if form == StatementForm::Attachment {
        world.sign("cosign-3.1.3", "theirs", OLD_FORM, &image).await;
    }
    for environment in environments {
        assert_eq!(hang(world, &image, environment).await, form);
    }
    image
}

/// Whether Kyverno was asked about a pod with the image in that namespace, and lets it run; the error is what it said.
async fn kyverno(world: &World, recipe: &str, image: &Image, namespace: &str) -> Result<bool, String> {
    world.write("policy.yaml", recipe);
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: web, namespace: {namespace} }}\nspec:\n  containers:\n    - {{ name: web, image: \"{}\" }}\n",
        image.reference()
    );
    world.write("pod.yaml", &pod);
    let arguments = [
        "apply",
        "policy.yaml",
        "--resource=pod.yaml",
        "--registry",
        "--detailed-results",
    ];
    let said = world.attempt(KYVERNO, &arguments).await?;
    Ok(!said.contains("pass: 0"))
}

/// Whether policy-controller lets the image run.
async fn policy_controller(world: &World, recipe: &str, image: &Image) -> Result<String, String> {
    world.write("policy.yaml", recipe);
    let arguments = ["--policy=policy.yaml", &format!("--image={}", image.reference())];
    world.attempt(POLICY_CONTROLLER, &arguments).await
}

/// Each image with what its statements are for, and whether it may run in production; `beside_others` is whether it may where other
/// environments vouch for it as well.
async fn cases(world: &World, form: StatementForm, beside_others: bool) -> Vec<(Image, bool, &'static str)> {
    let mut cases = Vec::new();
    for (environments, may_run, why) in [
        (&["production"][..], true, "it was promoted there"),
        (
            &["production", "staging"],
            beside_others,
            "it was promoted elsewhere after it",
        ),
        (
            &["staging", "production"],
            beside_others,
            "it was promoted elsewhere before it",
        ),
        (&["staging"], false, "it was only promoted elsewhere"),
        (&[], false, "it was never promoted"),
    ] {
        cases.push((stated(world, form, environments).await, may_run, why));
    }
    cases
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn policy_controller_admits_what_was_promoted_and_nothing_else() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        let key = world.signing_key();
        for (image, may_run, why) in cases(&world, StatementForm::Attachment, true).await {
            let admitted = policy_controller(&world, &recipe("ClusterImagePolicy", &key, &image), &image).await;
            assert_eq!(admitted.is_ok(), may_run, "{kind:?}, {why}: {admitted:?}");
        }
        let image = stated(&world, StatementForm::Attachment, &["production"]).await;
        let another = SigningKey::generate().unwrap().0;
        let admitted = policy_controller(&world, &recipe("ClusterImagePolicy", &another, &image), &image).await;
        assert!(admitted.is_err(), "{kind:?}, of another key: {admitted:?}");
        // As the document says: with a key it reads no bundles.
        let image = stated(&world, StatementForm::Bundle, &["production"]).await;
        let admitted = policy_controller(&world, &recipe("ClusterImagePolicy", &key, &image), &image).await;
        assert!(admitted.is_err(), "{kind:?}, a bundle: {admitted:?}");
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn kyverno_admits_what_was_promoted_and_nothing_else() {
    for (kind, form) in REGISTRIES.into_iter().flat_map(|kind| FORMS.map(|form| (kind, form))) {
        // This registry lists the type of a manifest's configuration as that of the manifest, and Kyverno believes it.
        if (kind, form) == (RegistryKind::WithList, StatementForm::Bundle) {
            continue;
        }
        let world = World::new(kind).await;
        let key = world.signing_key();
        let recipe = |key: &SigningKey, image: &Image| {
            let recipe = recipe("ClusterPolicy", key, image);
            match form {
                StatementForm::Bundle => recipe,
                StatementForm::Attachment => recipe.replacen("type: SigstoreBundle", "type: Cosign", 1),
            }
        };
        // As the document says: it asks each statement of the key, and has no way to ask whether there is one.
        for (image, may_run, why) in cases(&world, form, false).await {
            let admitted = kyverno(&world, &recipe(&key, &image), &image, "production").await;
            assert_eq!(admitted == Ok(true), may_run, "{kind:?} {form}, {why}: {admitted:?}");
            // It is asked about no other namespace.
            let admitted = kyverno(&world, &recipe(&key, &image), &image, "elsewhere").await;
            assert_eq!(admitted, Ok(false), "{kind:?} {form}, elsewhere");
        }
        let image = stated(&world, form, &["production"]).await;
        let another = SigningKey::generate().unwrap().0;
        let admitted = kyverno(&world, &recipe(&another, &image), &image, "production").await;
        assert!(admitted.is_err(), "{kind:?} {form}, of another key: {admitted:?}");
    }
}
