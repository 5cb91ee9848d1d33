//! Who may create workspaces.

use std::str::FromStr;

/// Who may create workspaces with `waybill apply` (`workspaces.create`); the command line on the database itself always may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Creators {
    /// Nobody else.
    #[default]
    CommandLine,
    /// Who administers a workspace.
    Administrators,
    /// Those, and everybody who is signed in as a person.
    Everyone,
}

impl FromStr for Creators {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "command_line" => Ok(Self::CommandLine),
            "administrators" => Ok(Self::Administrators),
            "everyone" => Ok(Self::Everyone),
            _ => Err(format!(
                "must be command_line, administrators or everyone, not {text:?}"
            )),
        }
    }
}
