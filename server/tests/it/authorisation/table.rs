//! The table. Each line says of a use case, through one door, who may, a letter for each of them:
//!
//! | letter | they |
//! |---|---|
//! | `s` | must sign in |
//! | `h` | are told that there is no such thing |
//! | `r` | are refused |
//! | `-` | may; whether it could be done is another matter |
//! | `+` | may, and it is done |
//!
//! The letters stand for those who ask, in this order (see [`super::WHO`]), with a mark for each above them:
//!
//! | marks | they are |
//! |---|---|
//! | `?ovdaABP` | programs: nobody (`?`); the administrator of another workspace; a viewer, a developer, an approver and an administrator of this one; a developer of the project `blog` only; a developer of `production` only |
//! | `ovdaAg` | people who are the same; and an approver in the group `release` |
//! | `<>0` | people of whom the project says otherwise: an administrator who is a viewer in it; a viewer who is an administrator in it; an administrator from whom it is hidden |
//!
//! `{development}`, `{production}` (protected), `{closed}` (only the group `release` may change what runs, and decides) and `{guarded}` (waits for
//! approvals) stand for those places; `{…}` else for ids, and for names that nobody else takes.

use super::doors::Door::{self, Graphql, Rest, Ui};

/// Answers, use case, door.
#[rustfmt::skip]
pub(crate) const TABLE: &[(&str, &str, Door)] = &[
    // ?ovdaABP ovdaAg <>0
    ("++++++++ ++++++ +++", "me", Ui("me", "")),
    ("++++++++ ++++++ +++", "sso", Ui("sso", "")),
    ("-------- ------ ---", "sign_in", Ui("sign_in", "email=a@b&password=x")),
    ("-------- ------ ---", "sign_out", Ui("sign_out", "")),

    // ?ovdaABP ovdaAg <>0
    ("s+++++++ ++++++ +++", "projects", Ui("projects", "")),
    ("s+++++++ ++++++ +++", "projects", Graphql("{ projects { name } }")),
    ("sh++++h+ h+++++ ++h", "board", Ui("board", "workspace=demo&project=myapp")),
    ("sh++++h+ h+++++ ++h", "board", Graphql("{ project(name: \"myapp\") { name environments { name resources { name promotions { id } } } } }")),
    ("sh++++hh h+++++ ++h", "environment", Ui("environment", "{development}")),
    ("sh++++h+ h+++++ ++h", "environment", Ui("environment", "{production}")),
    ("sh++++hh h+++++ ++h", "environment", Ui("environment", "{closed}")),
    ("sh++++h+ h+++++ ++h", "environments", Graphql("{ environments(project: \"myapp\") { name } }")),
    ("sh++++h+ h+++++ ++h", "resources", Graphql("{ resources(project: \"myapp\") { name } }")),
    ("sh++++hh h+++++ ++h", "resources", Graphql("{ resources(project: \"myapp\" environment: \"development\") { name } }")),
    ("shr+++hh hr++++ r+h", "form_options", Ui("form_options", "{development}")),
    ("shrr++hr hrr+++ r+h", "form_options", Ui("form_options", "{production}")),
    ("shrrrrhh hrrrr+ rrh", "form_options", Ui("form_options", "{closed}")),
    ("shr---hh hr---- r-h", "preview_create", Ui("preview_create", "{development}&draft[name]=new&draft[source]=image")),
    ("shrrrrhh hrrrr- rrh", "preview_create", Ui("preview_create", "{closed}&draft[name]=new&draft[source]=image")),
    ("shr---hh hr---- r-h", "create_resource", Ui("create_resource", "{development}&draft[name]=new&draft[source]=image")),
    ("shrr--hr hrr--- r-h", "create_resource", Ui("create_resource", "{production}&draft[name]=new&draft[source]=image")),
    ("shrrrrhh hrrrr- rrh", "create_resource", Ui("create_resource", "{closed}&draft[name]=new&draft[source]=image")),

    // ?ovdaABP ovdaAg <>0
    ("sh++++hh h+++++ ++h", "resource", Ui("resource", "{development}&resource=api")),
    ("sh++++hh h+++++ ++h", "resource", Ui("resource", "{closed}&resource=api")),
    ("sh++++h+ h+++++ ++h", "promotions", Graphql("{ promotionConnection(project: \"myapp\") { edges { cursor node { id } } } }")),
    ("sh++++hh h+++++ ++h", "promotions", Graphql("{ promotions(project: \"myapp\" environment: \"development\" resource: \"api\") { id } }")),
    ("shr+++hh hr++++ r+h", "preview_pin", Ui("preview_pin", "{development}&resource=api&digest={digest}")),
    ("shrrrrhh hrrrr+ rrh", "preview_pin", Ui("preview_pin", "{closed}&resource=api&digest={digest}")),
    ("shr+++hh hr++++ r+h", "edit_pin", Ui("edit_pin", "{development}&resource=api&digest={digest}")),
    ("shrr++hr hrr+++ r+h", "edit_pin", Ui("edit_pin", "{production}&resource=api&digest={digest}")),
    ("shrrrrhh hrrrr+ rrh", "edit_pin", Ui("edit_pin", "{closed}&resource=api&digest={digest}")),
    ("shr+++hh hr++++ r+h", "edit_pin", Graphql("mutation { pin(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" digest: \"{digest}\" }) { id } }")),
    ("shrrrrhh hrrrr+ rrh", "edit_pin", Graphql("mutation { pin(input: { projectId: \"myapp\" environment: \"closed\" service: \"api\" digest: \"{digest}\" }) { id } }")),
    ("shr+++hh hr++++ r+h", "preview_tags", Ui("preview_tags", "{development}&resource=api&tags=newest")),
    ("shrrrrhh hrrrr- rrh", "preview_tags", Ui("preview_tags", "{closed}&resource=api&tags=newest")),
    ("shr+++hh hr++++ r+h", "change_tags", Ui("change_tags", "{development}&resource=api&tags=newest")),
    ("shrrrrhh hrrrr- rrh", "change_tags", Ui("change_tags", "{closed}&resource=api&tags=newest")),
    ("shr+++hh hr++++ r+h", "preview_promote", Ui("preview_promote", "{development}&resource=api")),
    ("shrrrrhh hrrrr+ rrh", "preview_promote", Ui("preview_promote", "{closed}&resource=api")),
    ("shr+++hh hr++++ r+h", "promote", Ui("promote", "{development}&resource=api")),
    ("shrrrrhh hrrrr+ rrh", "promote", Ui("promote", "{closed}&resource=api")),
    ("shr+++hh hr++++ r+h", "promote", Ui("promote", "{guarded}&resource=api")),
    ("shrr++hr hrr+++ r+h", "promote", Graphql("mutation { promote(input: { projectId: \"myapp\" service: \"api\" fromEnvironment: \"development\" toEnvironment: \"production\" }) { id } }")),
    ("shrrrrhh hrrrr+ rrh", "promote", Graphql("mutation { promote(input: { projectId: \"myapp\" service: \"api\" fromEnvironment: \"development\" toEnvironment: \"closed\" }) { id } }")),
    ("shr---hh hr---- r-h", "rollback", Ui("rollback", "{development}&resource=api&digest={digest}")),
    ("shrrrrhh hrrrr- rrh", "rollback", Ui("rollback", "{closed}&resource=api&digest={digest}")),
    ("shr---hh hr---- r-h", "rollback", Graphql("mutation { rollback(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" digest: \"{digest}\" }) { id } }")),
    ("shrrrrhh hrrrr- rrh", "rollback", Graphql("mutation { rollback(input: { projectId: \"myapp\" environment: \"closed\" service: \"api\" digest: \"{digest}\" }) { id } }")),
    ("shr---hh hr---- r-h", "resume", Ui("resume", "{development}&resource=api")),
    ("shrrrrhh hrrrr- rrh", "resume", Ui("resume", "{closed}&resource=api")),
    ("shr---hh hr---- r-h", "resume", Graphql("mutation { resume(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" }) { id } }")),
    ("shrrrrhh hrrrr- rrh", "resume", Graphql("mutation { resume(input: { projectId: \"myapp\" environment: \"closed\" service: \"api\" }) { id } }")),
    ("shr---hh hr---- r-h", "take_new_key", Ui("take_new_key", "{development}&resource=api")),
    ("shrrrrhh hrrrr- rrh", "take_new_key", Ui("take_new_key", "{closed}&resource=api")),
    ("shr---hh hr---- r-h", "take_new_key", Graphql("mutation { takeNewKey(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" }) }")),
    ("shrrrrhh hrrrr- rrh", "take_new_key", Graphql("mutation { takeNewKey(input: { projectId: \"myapp\" environment: \"closed\" service: \"api\" }) }")),

    // ?ovdaABP ovdaAg <>0
    ("sh++++hh h+++++ ++h", "promotion", Ui("promotion", "id={promotion}")),
    ("sh++++hh h+++++ ++h", "promotion", Graphql("{ promotion(id: \"{promotion}\") { id } }")),
    ("sh++++hh h+++++ ++h", "promotion", Ui("promotion", "id={only release}")),
    ("sh++++hh h+++++ ++h", "changes", Ui("changes", "id={promotion}")),
    ("sh++++hh h+++++ ++h", "changes", Ui("changes", "id={only release}")),
    ("sh++++hh h+++++ ++h", "changes", Rest("GET /api/v1/promotions/{promotion}/changes", "")),
    ("shr---hh hr---- r-h", "pod_logs", Graphql("{ podLogs(promotion: \"{promotion}\") { pod } }")),
    ("shrrrrhh hrrrr- rrh", "pod_logs", Graphql("{ podLogs(promotion: \"{only release}\") { pod } }")),
    ("shr---hh hr---- r-h", "retry", Ui("retry", "id={promotion}")),
    ("shr---hh hr---- r-h", "retry", Graphql("mutation { retry(id: \"{promotion}\") { id } }")),
    ("shrrrrhh hrrrr- rrh", "retry", Ui("retry", "id={only release}")),
    ("shr---hh hr---- r-h", "cancel", Ui("cancel", "id={promotion}")),
    ("shr---hh hr---- r-h", "cancel", Graphql("mutation { cancel(id: \"{promotion}\") { id } }")),

    // ?ovdaABP ovdaAg <>0
    // A recall counts in all projects.
    ("sh++++++ h+++++ +++", "recall", Ui("recall", "workspace=demo&digest={digest}")),
    ("sh++++++ h+++++ +++", "recall", Rest("GET /api/v1/artifacts/{recalled}/recall?workspace=demo", "")),
    ("shrrr-rr hrrr-r -r-", "recall_digest", Ui("recall_digest", "workspace=demo&digest={recalled}&reason=x")),
    ("shrrr-rr hrrr-r -r-", "recall_digest", Rest("POST /api/v1/artifacts/{recalled}/recall?workspace=demo", "{\"reason\":\"x\"}")),
    ("shrrr-rr hrrr-r -r-", "move_places_back", Ui("move_places_back", "workspace=demo&digest={recalled}&break_glass=false")),
    ("shrrr-rr hrrr-r -r-", "move_places_back", Rest("POST /api/v1/artifacts/{recalled}/recall/move-back?workspace=demo", "{}")),
    ("shrrr-rr hrrr-r -r-", "lift_recall", Ui("lift_recall", "workspace=demo&digest={recalled}&reason=x")),
    ("shrrr-rr hrrr-r -r-", "lift_recall", Rest("DELETE /api/v1/artifacts/{recalled}/recall?workspace=demo", "{\"reason\":\"x\"}")),

    // ?ovdaABP ovdaAg <>0
    // Only people decide.
    ("s+++++++ ++++++ +++", "inbox", Ui("inbox", "")),
    ("++++++++ ++++++ +++", "inbox_count", Ui("inbox_count", "")),
    ("shrrrrhh hrr+++ r+h", "approve", Ui("approve", "id={waiting}&comment=")),
    ("shrrrrhh hrrrr+ rrh", "approve", Ui("approve", "id={only release}&comment=")),
    ("shrrrrhh hrr+++ r+h", "approve", Graphql("mutation { approve(id: \"{waiting}\") { id } }")),
    ("shrrrrhh hrrrr+ rrh", "approve", Graphql("mutation { approve(id: \"{only release}\") { id } }")),
    ("shrrrrhh hrr+++ r+h", "reject", Ui("reject", "id={unwanted}&comment=no")),
    ("shrrrrhh hrrrr- rrh", "reject", Ui("reject", "id={only release}&comment=no")),
    ("shrrrrhh hrr+++ r+h", "reject", Graphql("mutation { reject(id: \"{unwanted}\", comment: \"no\") { id } }")),
    ("shrrrrhh hrrrr- rrh", "reject", Graphql("mutation { reject(id: \"{only release}\", comment: \"no\") { id } }")),
    // Its policy lets administrators override approvals; nobody may override a stop.
    ("shrrrrhh hrrrrr rrh", "override_gate", Ui("override_gate", "id={waiting}&gate=stop&reason=x")),
    ("shrrrrhh hrrr-r r-h", "override_gate", Ui("override_gate", "id={waiting}&gate=approvals&reason=x")),
    ("shrrrrhh hrrrr- rrh", "cancel", Ui("cancel", "id={only release}")),
    ("shrr--hh hrr--- r-h", "pause_promotions", Ui("pause_promotions", "{development}&of_project=false&reason=x")),
    ("shrr--hh hrr--- r-h", "pause_promotions", Ui("pause_promotions", "{closed}&of_project=false&reason=x")),
    ("shrr--hr hrr--- r-h", "pause_promotions", Ui("pause_promotions", "{production}&of_project=true&reason=x")),
    ("shrr--hh hrr--- r-h", "resume_promotions", Ui("resume_promotions", "{development}&of_project=false")),
    ("shrrrrhh hrrrr- rrh", "resume_promotions", Ui("resume_promotions", "{closed}&of_project=false")),
    ("shrrrrhr hrrrr- rrh", "resume_promotions", Ui("resume_promotions", "{production}&of_project=true")),
    ("sh++++hh h+++++ ++h", "policy", Ui("policy", "{development}")),
    ("shrrr-hh hrrr-r r-h", "set_policy", Ui("set_policy", "{development}&text=")),
    ("shrrr-hh hrrr-r r-h", "set_policy", Ui("set_policy", "{closed}&text=x")),
    ("sh++++hh h+++++ ++h", "environment_images", Ui("environment_images", "{development}")),
    ("shrrr-hh hrrr-r r-h", "set_environment_images", Ui("set_environment_images", "{development}&draft[marker]=latest")),
    ("shrrr-hh hrrr-r r-h", "set_environment_images", Ui("set_environment_images", "{closed}&draft[marker]=latest")),
    ("shr+++hh hr++++ r+h", "set_tags_again", Ui("set_tags_again", "{development}")),
    ("shrrrrhh hrrrr+ rrh", "set_tags_again", Ui("set_tags_again", "{closed}")),
    ("shr---hh hr---- r-h", "heal", Ui("heal", "{development}&resource=api&from=r.example/api")),
    ("shrrrrhh hrrrr- rrh", "heal", Ui("heal", "{closed}&resource=api&from=r.example/api")),
    ("sh++++hh h+++++ ++h", "unpromoted", Rest("GET /api/v1/unpromoted?{development}", "")),
    ("sh++++hh h+++++ ++h", "unpromoted", Rest("GET /api/v1/unpromoted?{closed}", "")),
    ("shr---hh hr---- r-h", "adopt", Ui("adopt", "{development}&resource=api&digest={digest}&reason=")),
    ("shrrrrhh hrrrr- rrh", "adopt", Ui("adopt", "{closed}&resource=api&digest={digest}&reason=")),
    ("shr---hh hr---- r-h", "adopt", Rest("POST /api/v1/unpromoted/adopt?{development}", "{\"resource\":\"api\",\"digest\":\"{digest}\"}")),
    ("shr---hh hr---- r-h", "adopt_all", Ui("adopt_all", "{development}")),
    ("shrrrrhh hrrrr- rrh", "adopt_all", Ui("adopt_all", "{closed}")),
    ("shr---hh hr---- r-h", "promote_declared", Ui("promote_declared", "{development}&resource=api")),
    ("shrrrrhh hrrrr- rrh", "promote_declared", Ui("promote_declared", "{closed}&resource=api")),
    ("shr---hh hr---- r-h", "promote_declared", Rest("POST /api/v1/unpromoted/promote?{development}", "{\"resource\":\"api\"}")),
    // A check counts in all projects.
    ("shr+++rr hr++++ rrr", "report_check", Rest("POST /api/v1/checks", "{\"workspace\":\"demo\",\"digest\":\"{digest}\",\"name\":\"scan\",\"status\":\"passed\"}")),
    ("shr+++rr hr++++ rrr", "report_check", Graphql("mutation { reportCheck(input: { workspace: \"demo\" digest: \"{digest}\" name: \"scan\" status: \"passed\" }) { name } }")),
    ("sh++++rr h+++++ +++", "activity", Ui("activity", "workspace=demo")),
    ("shrrr+rr hrrr+r +rr", "export_ledger", Rest("GET /api/v1/workspaces/{workspace}/ledger", "")),
    ("sh++++++ h+++++ +++", "custody", Ui("custody", "workspace=demo&digest={digest}")),
    ("sh++++++ h+++++ +++", "export_custody", Rest("GET /api/v1/artifacts/{digest}/custody?workspace=demo", "")),
    ("s+++++++ ++++++ +++", "events", Rest("GET /api/events", "")),

    // ?ovdaABP ovdaAg <>0
    ("shrrr+rr hrrr+r +r+", "members", Ui("members", "workspace=demo")),
    ("shrrrrrr hrrr+r +r+", "set_role", Ui("set_role", "workspace=demo&user={member}&role=viewer")),
    ("shrrrrrr hrrr+r +r+", "deactivate", Ui("deactivate", "workspace=demo&user={member}")),
    ("shrrrrrr hrrr+r +r+", "activate", Ui("activate", "workspace=demo&user={member}")),
    ("shrrrrrr hrrr+r +r+", "invite", Ui("invite", "workspace=demo&email={new}@example.com&role=viewer")),
    ("shrrr+rr hrrr+r +r+", "withdraw_invitation", Ui("withdraw_invitation", "workspace=demo&invitation={invitation}")),
    ("++++++++ ++++++ +++", "invitation", Ui("invitation", "key={key}")),
    ("-------- ------ ---", "accept_invitation", Ui("accept_invitation", "key={key}&name=&password=")),
    ("shrrr+rr hrrr+r +r+", "groups", Ui("groups", "workspace=demo")),
    ("shrrr+rr hrrr+r +r+", "create_group", Ui("create_group", "workspace=demo&name={group}")),
    ("shrrr+rr hrrr+r +r+", "join_group", Ui("join_group", "workspace=demo&group={group}&user={member}")),
    ("shrrr+rr hrrr+r +r+", "leave_group", Ui("leave_group", "workspace=demo&group={group}&user={member}")),
    ("shrrrrrr hrrr+r +r+", "remove_member", Ui("remove_member", "workspace=demo&user={member}")),
    ("shrrr+rr hrrr+r +r+", "tokens", Ui("tokens", "workspace=demo")),
    ("shrrrrrr hrrr+r +r+", "create_token", Ui("create_token", "workspace=demo&draft[name]={new}&draft[role]=viewer&draft[expires]=1d")),
    ("shrrr+rr hrrr+r +r+", "revoke_token", Ui("revoke_token", "workspace=demo&token={token}")),

    // ?ovdaABP ovdaAg <>0
    // Who administers a workspace may make others: that this one is taken they are told.
    ("srrrr+rr rrrr+r +r+", "apply", Rest("POST /api/v1/apply", "{\"workspace\":\"demo\"}")),
    ("srrrr+rr rrrr+r +r+", "apply", Rest("POST /api/v1/apply?dry_run=true", "{\"workspace\":\"demo\"}")),
    ("srrrr+rr rrrr+r rrr", "apply", Rest("POST /api/v1/apply?dry_run=true", "{\"workspace\":\"demo\",\"projects\":[{\"name\":\"myapp\",\"repository\":{\"url\":\"/srv/git/myapp.git\"}}]}")),
    ("shrrr+rr hrrr+r +r+", "registries", Ui("registries", "workspace=demo")),
    ("shrrr+rr hrrr+r +r+", "clusters", Ui("clusters", "workspace=demo")),
    ("shrrr-rr hrrr-r -r-", "save_registry", Ui("save_registry", "workspace=demo&registry[was]=local&secrets[pull_password]=")),
    ("shrrr-rr hrrr-r -r-", "save_cluster", Ui("save_cluster", "workspace=demo&cluster[was]=local&cluster[registry]=local&secrets[argocd_token]=")),
    ("shrrr-rr hrrr-r -r-", "test_registry", Ui("test_registry", "workspace=demo&registry[was]=local&registry[stored]=true&secrets[pull_password]=")),
    ("shrrr-rr hrrr-r -r-", "save_trusted_root", Ui("save_trusted_root", "workspace=demo&root[name]=own&root[document]=x")),
    ("shrrr-rr hrrr-r -r-", "remove_trusted_root", Ui("remove_trusted_root", "workspace=demo&name=own")),
    ("shrrr-rr hrrr-r -r-", "test_cluster", Ui("test_cluster", "workspace=demo&cluster[was]=local&cluster[stored]=true&secrets[argocd_token]=")),
    ("shrrr+rr hrrr+r +r+", "repositories", Ui("repositories", "workspace=demo")),
    ("shrrr-rr hrrr-r rrh", "save_repository", Ui("save_repository", "workspace=demo&repository[was]=myapp&secrets[git_token]=")),
    ("shrrr-rr hrrr-r rrh", "add_environment", Ui("add_environment", "workspace=demo&environment[project]=myapp&environment[name]=Bad")),
    ("shrrr-rr hrrr-r rrh", "test_repository", Ui("test_repository", "workspace=demo&repository[was]=myapp&repository[stored]=true&secrets[git_token]=")),
    ("shrrr+rr hrrr+r +r+", "source_hosts", Ui("source_hosts", "workspace=demo")),
    ("shrrr-rr hrrr-r -r-", "save_source_host", Ui("save_source_host", "workspace=demo&source[host]=&secrets[source_token]=")),
    ("shrrr+rr hrrr+r +r+", "remove_source_host", Ui("remove_source_host", "workspace=demo&host={listed}")),
    ("shrrr+rr hrrr+r +r+", "notifications", Ui("notifications", "workspace=demo")),
    ("shrrr-rr hrrr-r -r-", "add_channel", Ui("add_channel", "workspace=demo&draft[name]={new}&draft[project]=myapp")),
    ("shrrr+rr hrrr+r hrh", "pause_channel", Ui("pause_channel", "workspace=demo&channel={channel}&paused=false")),
    ("shrrr+rr hrrr+r hrh", "pause_channel", Ui("pause_channel", "workspace=demo&channel={channel}&paused=true")),
    // It is paused from now on: sending takes its time.
    ("shrrr-rr hrrr-r hrh", "test_channel", Ui("test_channel", "workspace=demo&channel={channel}")),
    ("shrrr-rr hrrr-r hrh", "redeliver", Ui("redeliver", "workspace=demo&delivery={delivery}")),
    ("shrrr+rr hrrr+r hrh", "remove_channel", Ui("remove_channel", "workspace=demo&channel={channel}")),

    // ?ovdaABP ovdaAg <>0
    // All of it is followed, used, or just being promoted to: nothing goes.
    ("shrrr+hh hrrr+r r+h", "removal", Ui("removal", "target[what]=resource&{target development}&target[name]=api")),
    ("shrrr+hh hrrr+r r+h", "removal", Ui("removal", "target[what]=resource&{target closed}&target[name]=web")),
    ("shrrr+hh hrrr+r r+h", "removal", Ui("removal", "target[what]=environment&{target development}&target[name]=development")),
    ("shrrr+rr hrrr+r rrh", "removal", Ui("removal", "target[what]=project&target[workspace]=demo&target[name]=myapp")),
    ("shrrr+rr hrrr+r +r+", "removal", Ui("removal", "target[what]=cluster&target[workspace]=demo&target[name]=local")),
    ("shrrr+rr hrrr+r rrr", "removal", Ui("removal", "target[what]=workspace&target[workspace]=demo&target[name]=demo")),
    ("shrrr-hh hrrr-r r-h", "remove", Ui("remove", "target[what]=resource&{target development}&target[name]=api")),
    // It changes what runs, which only the group may.
    ("shrrrrhh hrrrrr rrh", "remove", Ui("remove", "target[what]=resource&{target closed}&target[name]=web&choices[from_git]=true")),
    ("shrrr-hh hrrr-r r-h", "remove", Ui("remove", "target[what]=environment&{target development}&target[name]=development")),
    ("shrrr-rr hrrr-r rrh", "remove", Ui("remove", "target[what]=project&target[workspace]=demo&target[name]=myapp")),
    ("shrrr-rr hrrr-r -r-", "remove", Ui("remove", "target[what]=cluster&target[workspace]=demo&target[name]=local")),
    ("shrrr-rr hrrr-r rrr", "remove", Ui("remove", "target[what]=workspace&target[workspace]=demo&target[name]=demo&typed=demo")),
    ("shrrr-hh hrrr-r r-h", "remove", Graphql("mutation { removeResource(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" }) { name } }")),
    ("shrrr-hh hrrr-r r-h", "remove", Graphql("mutation { removeEnvironment(input: { projectId: \"myapp\" environment: \"development\" }) { name } }")),
    ("shrrr-hr hrrr-r rrh", "remove", Graphql("mutation { removeProject(projectId: \"myapp\") { name } }")),
    ("shrrr-rr hrrr-r -r-", "remove", Graphql("mutation { removeCluster(workspace: \"demo\" name: \"local\") { name } }")),
    ("shrrr-rr hrrr-r -r-", "remove", Graphql("mutation { removeRegistry(workspace: \"demo\" name: \"local\") { name } }")),
    ("shrrr-rr hrrr-r rrr", "remove", Graphql("mutation { removeWorkspace(name: \"demo\" confirm: \"demo\") { name } }")),
    ("srrrr-rr rrrr-r rrr", "apply", Rest("POST /api/v1/apply?dry_run=true", "{\"workspace\":\"demo\",\"projects\":[{\"name\":\"myapp\",\"state\":\"absent\"}]}")),

    // ?ovdaABP ovdaAg <>0
    // Only people have an account.
    ("srrrrrrr ++++++ +++", "account", Ui("account", "")),
    ("srrrrrrr ------ ---", "change_password", Ui("change_password", "current=a&new=b")),
    ("srrrrrrr ------ ---", "sign_out_everywhere", Ui("sign_out_everywhere", "")),
];
