//! The tags of environments, as people see them: what each should name, and how it stands.

use crate::store::{TagDrift, TagMove};
use contract::environment_images::{TagState, TagView};
use domain::{
    environment_tags::{OnDrift, TagUse},
    resource::Resource,
};

/// A tag, of one of these resources.
pub(crate) fn tag_view(of: TagMove, resources: &[Resource], on_drift: OnDrift) -> TagView {
    let state = match (&of.drift, &of.note, of.set_at) {
        (None, Some(why), _) if of.was_set() && of.wanted.usage == TagUse::Keeper => {
            TagState::Stays { why: why.clone() }
        }
        (_, Some(why), _) => TagState::Refused { why: why.clone() },
        (Some((drift, at)), None, _) => TagState::Drifted {
            to: match drift {
                TagDrift::Names(digest) => Some(digest.clone()),
                TagDrift::Gone => None,
            },
            at: *at,
            is_left: on_drift == OnDrift::Report,
        },
        (None, None, Some(at)) if of.was_set() => TagState::Set { at },
        (None, None, _) => TagState::Due,
    };
    let wanted = of.wanted;
    TagView {
        resource: (resources.iter())
            .find(|resource| resource.id == wanted.resource)
            .map(|resource| resource.name.clone()),
        repository: wanted.repository,
        tag: wanted.tag,
        usage: wanted.usage,
        digest: wanted.digest,
        promotion: wanted.promotion,
        state,
    }
}
