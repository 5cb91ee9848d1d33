//! What a source offers and what Git declares, made exact, and which of two images is newer. Nothing is written here.

mod course;
mod declared;
mod edit;
mod environment_tags;
mod history;
mod mirror;
mod newest;
mod source;
mod tag_order;

pub(crate) use course::{course, runs_there};
pub(crate) use declared::{declared, declared_services, exact_image, lacks_file, whereabouts};
pub(crate) use edit::{change_of, edit_for_promotion, edit_for_resource, image_edit};
pub(crate) use environment_tags::{TagsClash, all_of_workspace, is_kept, keeper, marker, push_end, tags_clash};
pub(crate) use history::that_ran;
pub(crate) use mirror::{
    collision, copied_to, copy_request, copy_targets, mirror_of, placed, placed_in, target_repository,
};
pub(crate) use newest::{NewestArtifact, RECENT, count_newer, newest_arrival, newest_that_counts, none_counts};
pub(crate) use source::{pinned_image, resolve_image, resolve_source, source_of, source_repository};
pub(crate) use tag_order::{TagCounts, WhatCounts, check_tag_rule};
