//! People and what they may do: workspaces, accounts, members, groups, tokens, sessions, invitations.

use super::{Places, at, committed, fails, id};
use domain::{
    environment::{Group, Workspace},
    id::{GroupId, InvitationId, TokenId, UserId, WorkspaceId},
    rights::Role,
};
use server::store::{ApiToken, Invitation, SessionRecord, Store, StoreError, Tx, User};

pub(super) async fn people(store: &dyn Store) -> (Workspace, Workspace) {
    let workspace = |n, name: &str| Workspace {
        id: WorkspaceId(id(n)),
        name: name.parse().unwrap(),
    };
    let (demo, acme) = (workspace(1, "demo"), workspace(2, "acme"));
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.count_users().await.unwrap(), 0);
    assert_eq!(tx.first_user().await.unwrap(), None);
    tx.insert_workspace(&demo, at(0)).await.unwrap();
    drop(tx);
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.workspaces().await.unwrap(), [], "what isn't committed is taken back");
    for workspace in [&demo, &acme] {
        tx.insert_workspace(workspace, at(0)).await.unwrap();
    }
    let mut tx = committed(tx, store).await;
    assert_eq!(tx.workspaces().await.unwrap(), [acme.clone(), demo.clone()], "by name");
    assert_eq!(tx.workspace_by_name("demo").await.unwrap().as_ref(), Some(&demo));
    assert_eq!(tx.workspace_by_name("Demo").await.unwrap(), None);

    let user = |n, email: &str| User {
        id: UserId(id(n)),
        email: email.into(),
        name: email.into(),
        password_hash: "$argon2id$".into(),
        active: true,
        created_at: at(i64::try_from(n).unwrap()),
    };
    let (ada, bob) = (user(11, "ada@example.com"), user(12, "bob@example.com"));
    tx.insert_user(&bob).await.unwrap();
    tx.insert_user(&ada).await.unwrap();
    assert_eq!(tx.count_users().await.unwrap(), 2);
    assert_eq!(tx.first_user().await.unwrap().as_ref(), Some(&ada));
    assert_eq!(tx.user(bob.id).await.unwrap().as_ref(), Some(&bob));
    assert_eq!(tx.user_by_email("bob@example.com").await.unwrap(), Some(bob));
    tx.set_membership(demo.id, ada.id, Role::Viewer).await.unwrap();
    tx.set_membership(demo.id, ada.id, Role::Admin).await.unwrap();
    tx.set_membership(acme.id, ada.id, Role::Developer).await.unwrap();
    let mine = tx.memberships(ada.id).await.unwrap();
    assert_eq!(mine, [(acme.clone(), Role::Developer), (demo.clone(), Role::Admin)]);

    let token = |n, workspace: WorkspaceId, name: &str, hash: &str| ApiToken {
        id: TokenId(id(n)),
        workspace,
        name: name.into(),
        role: Role::Developer,
        hash: hash.into(),
        created_at: at(0),
        expires_at: Some(at(100)),
        last_used_at: None,
        revoked_at: None,
        project: None,
        environment: None,
        made_by: None,
    };
    let ci = token(21, demo.id, "ci", "aa");
    tx.insert_token(&ci).await.unwrap();
    tx.insert_token(&token(23, acme.id, "ci", "cc")).await.unwrap();
    assert_eq!(
        tx.token_by_hash("aa").await.unwrap(),
        Some((ci, demo.clone())),
        "also when it ended"
    );
    assert_eq!(tx.token_by_hash("bb").await.unwrap(), None);

    tx.commit().await.unwrap();

    let demo_again = workspace(3, "demo");
    let taken = fails(store, "names are unique", async |tx| {
        tx.insert_workspace(&demo_again, at(0)).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
    let ada_again = user(13, "ada@example.com");
    let taken = fails(store, "addresses are unique", async |tx| {
        tx.insert_user(&ada_again).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
    let ci_again = token(22, demo.id, "ci", "bb");
    let taken = fails(store, "names are unique", async |tx| tx.insert_token(&ci_again).await);
    assert!(matches!(taken.await, StoreError::Exists));
    fails(store, "a member is an account", async |tx| {
        tx.set_membership(demo.id, UserId(id(99)), Role::Admin).await
    })
    .await;
    // What nobody could mean, asked for all the same.
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.user_by_email("ada@example.com\0").await.unwrap(), None);
    assert_eq!(tx.workspace_by_name("de\0mo").await.unwrap(), None);
    (demo, acme)
}

pub(super) async fn rights(store: &dyn Store, demo: &Workspace, acme: &Workspace, places: &Places) {
    let (ada, bob) = (UserId(id(11)), UserId(id(12)));
    let group = |n, workspace: &Workspace, name: &str| Group {
        id: GroupId(id(n)),
        workspace: workspace.id,
        name: name.parse().unwrap(),
    };
    let (release, ops) = (group(51, demo, "release"), group(52, demo, "ops"));
    let elsewhere = group(53, acme, "release");
    let mut tx = store.write().await.unwrap();
    tx.set_membership(demo.id, bob, Role::Viewer).await.unwrap();
    for group in [&release, &ops, &elsewhere] {
        tx.insert_group(group, at(1)).await.unwrap();
    }
    assert_eq!(
        tx.groups(demo.id).await.unwrap(),
        [ops.clone(), release.clone()],
        "by name"
    );
    for (group, user) in [(&release, ada), (&release, bob), (&ops, bob), (&elsewhere, bob)] {
        assert!(tx.join_group(group.id, user).await.unwrap());
    }
    assert!(!tx.join_group(ops.id, bob).await.unwrap(), "once is enough");
    let of_bob = [
        (demo.id, ops.name.clone()),
        (demo.id, release.name.clone()),
        (acme.id, elsewhere.name.clone()),
    ];
    assert_eq!(tx.groups_of(bob).await.unwrap(), of_bob);
    let in_demo = [(release.id, ada), (release.id, bob), (ops.id, bob)];
    assert_eq!(tx.group_members(demo.id).await.unwrap(), in_demo);
    assert!(tx.leave_group(release.id, ada).await.unwrap());
    assert!(!tx.leave_group(release.id, ada).await.unwrap());

    tx.set_project_role(places.project, bob, Some(Role::Admin))
        .await
        .unwrap();
    tx.set_project_role(places.project, bob, None).await.unwrap();
    tx.set_project_role(places.project, ada, Some(Role::Viewer))
        .await
        .unwrap();
    assert_eq!(tx.project_roles_of(bob).await.unwrap(), [(places.project, None)]);
    let roles = [(ada, Some(Role::Viewer)), (bob, None)];
    assert_eq!(tx.project_roles(places.project).await.unwrap(), roles);
    tx.clear_project_role(places.project, ada).await.unwrap();
    tx.restrict(places.staging, &[release.id]).await.unwrap();
    tx.restrict(places.staging, &[release.id, ops.id]).await.unwrap();
    let restricted = [
        (places.staging, ops.name.clone()),
        (places.staging, release.name.clone()),
    ];
    assert_eq!(tx.restrictions(places.project).await.unwrap(), restricted);
    tx.restrict(places.staging, &[]).await.unwrap();
    assert_eq!(tx.restrictions(places.project).await.unwrap(), []);

    let token = |n, workspace: &Workspace, made_by| ApiToken {
        id: TokenId(id(n)),
        workspace: workspace.id,
        name: format!("t{n}"),
        role: Role::Developer,
        hash: format!("h{n}"),
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        project: Some(places.project),
        environment: Some(places.staging),
        made_by,
    };
    let tokens = [
        token(61, demo, Some(bob)),
        token(62, acme, Some(bob)),
        token(63, demo, None),
    ];
    for token in &tokens {
        tx.insert_token(token).await.unwrap();
    }
    let stored = tx.token_by_hash("h61").await.unwrap();
    assert_eq!(stored, Some((tokens[0].clone(), demo.clone())));
    tx.token_used(tokens[0].id, at(7)).await.unwrap();
    let (used, _) = tx.token_by_hash("h61").await.unwrap().unwrap();
    assert_eq!(used.last_used_at, Some(at(7)));
    tx.revoke_tokens_of(bob, Some(demo.id), at(8)).await.unwrap();
    let names = async |tx: &mut dyn Tx, workspace: &Workspace| -> Vec<String> {
        let tokens = tx.tokens(workspace.id).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect()
    };
    assert_eq!(names(&mut *tx, demo).await, ["ci", "t63"], "one of nobody's stays");
    assert_eq!(names(&mut *tx, acme).await, ["ci", "t62"]);
    tx.revoke_tokens_of(bob, None, at(9)).await.unwrap();
    assert_eq!(names(&mut *tx, acme).await, ["ci"]);
    assert!(tx.revoke_token(tokens[2].id, at(9)).await.unwrap());
    assert!(!tx.revoke_token(tokens[2].id, at(10)).await.unwrap(), "it was already");

    tx.set_active(bob, false).await.unwrap();
    tx.set_password(bob, "$argon2id$new").await.unwrap();
    let members = tx.members(demo.id).await.unwrap();
    let who: Vec<_> = members
        .iter()
        .map(|m| (&*m.user.email, m.role, m.user.active))
        .collect();
    let both = [
        ("ada@example.com", Role::Admin, true),
        ("bob@example.com", Role::Viewer, false),
    ];
    assert_eq!(who, both, "by address");
    assert_eq!(members[1].user.password_hash, "$argon2id$new");
    tx.remove_member(demo.id, bob).await.unwrap();
    assert_eq!(tx.members(demo.id).await.unwrap().len(), 1);
    assert_eq!(
        tx.groups_of(bob).await.unwrap(),
        [(acme.id, elsewhere.name)],
        "elsewhere they stay"
    );
    assert_eq!(tx.project_roles_of(bob).await.unwrap(), []);
    tx.set_active(bob, true).await.unwrap();
    tx.commit().await.unwrap();
    let again = group(54, demo, "ops");
    let taken = fails(store, "names are unique", async |tx| {
        tx.insert_group(&again, at(2)).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
}

pub(super) async fn sessions_and_invitations(store: &dyn Store, demo: &Workspace) {
    let (ada, bob) = (UserId(id(11)), UserId(id(12)));
    let session = |name: &str, user, seen, expires| SessionRecord {
        id: name.into(),
        user,
        user_agent: Some("Firefox\0".into()),
        address: Some("192.0.2.1".into()),
        created_at: Some(at(1)),
        seen_at: Some(at(seen)),
        expires_at: at(expires),
    };
    let mut tx = store.write().await.unwrap();
    for (name, user, seen) in [("s1", Some(ada), 2), ("s2", Some(ada), 3), ("s3", Some(bob), 2)] {
        tx.insert_session(&session(name, user, seen, 20), "{}").await.unwrap();
    }
    tx.insert_session(&session("s4", None, 1, 5), "{}").await.unwrap();
    tx.save_session("s1", "{\"a\":1}", at(30)).await.unwrap();
    let (found, data) = tx.session("s1", at(29)).await.unwrap().unwrap();
    assert_eq!((found.user, found.expires_at, &*data), (Some(ada), at(30), "{\"a\":1}"));
    assert_eq!(found.user_agent.as_deref(), Some("Firefox\u{fffd}"));
    assert_eq!(tx.session("s1", at(30)).await.unwrap(), None, "it expired");
    tx.session_seen("s1", None, at(9)).await.unwrap();
    tx.session_seen("s4", Some(bob), at(4)).await.unwrap();
    let ids = |sessions: Vec<SessionRecord>| -> Vec<String> { sessions.into_iter().map(|s| s.id).collect() };
    let of_ada = tx.sessions_of(ada, at(10)).await.unwrap();
    assert_eq!(ids(of_ada), ["s1", "s2"], "used last first, and still whose it was");
    assert_eq!(ids(tx.sessions_of(bob, at(4)).await.unwrap()), ["s4", "s3"]);
    assert_eq!(ids(tx.sessions_of(bob, at(5)).await.unwrap()), ["s3"], "one expired");
    tx.delete_expired_sessions(at(6)).await.unwrap();
    assert_eq!(tx.session("s4", at(0)).await.unwrap(), None);
    tx.delete_sessions_of(ada, Some("s2")).await.unwrap();
    assert_eq!(ids(tx.sessions_of(ada, at(10)).await.unwrap()), ["s2"]);
    tx.save_session("s1", "{}", at(40)).await.unwrap();
    assert_eq!(tx.session("s1", at(0)).await.unwrap(), None, "what ended stays ended");
    tx.delete_sessions_of(ada, None).await.unwrap();
    assert_eq!(tx.sessions_of(ada, at(10)).await.unwrap(), []);
    tx.delete_session("s3").await.unwrap();
    assert_eq!(tx.session("s3", at(0)).await.unwrap(), None);

    let invitation = Invitation {
        id: InvitationId(id(71)),
        workspace: demo.id,
        email: "eve@example.com".into(),
        role: Role::Approver,
        hash: "ii".into(),
        created_at: at(0),
        expires_at: at(10),
        invited_by: Some(ada),
    };
    tx.insert_invitation(&invitation).await.unwrap();
    assert_eq!(
        tx.invitations(demo.id, at(9)).await.unwrap(),
        std::slice::from_ref(&invitation)
    );
    assert_eq!(tx.invitations(demo.id, at(10)).await.unwrap(), [], "it ended");
    let found = tx.invitation_by_hash("ii", at(9)).await.unwrap();
    assert_eq!(found, Some((invitation.clone(), demo.clone())));
    assert_eq!(tx.invitation_by_hash("ii", at(10)).await.unwrap(), None);
    assert!(tx.end_invitation(invitation.id, at(5)).await.unwrap());
    assert!(!tx.end_invitation(invitation.id, at(6)).await.unwrap(), "once");
    assert_eq!(tx.invitation_by_hash("ii", at(9)).await.unwrap(), None);
    tx.commit().await.unwrap();
}
