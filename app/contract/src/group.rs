//! Groups of members.

use domain::{id::UserId, name::Name};
use serde::{Deserialize, Serialize};

/// The groups of a workspace, and who could be in them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupsView {
    /// The workspace.
    pub workspace: Name,
    /// Its groups, by name.
    pub groups: Vec<GroupView>,
    /// Its members, by address.
    pub people: Vec<Person>,
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: Name,
    /// Who is in it, by address.
    pub members: Vec<Person>,
}

/// A member, as far as a group shows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The account's id.
    pub id: UserId,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}
