//! What an API key may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of requests.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
pub(crate) enum Scope {
    /// Making, cancelling, repeating and deleting jobs, and deleting their outputs.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// Reading jobs, their outputs and presets.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// Settings, storage providers, and changes of presets.
    #[serde(rename = "settings")]
    Settings,
    /// API keys and projects.
    #[serde(rename = "tokens")]
    Tokens,
}

impl Scope {
    pub(crate) const ALL: [Self; 4] =
        [Self::JobsWrite, Self::JobsRead, Self::Settings, Self::Tokens];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JobsWrite => "jobs:write",
            Self::JobsRead => "jobs:read",
            Self::Settings => "settings",
            Self::Tokens => "tokens",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Scopes as the database has them: their names, with spaces between them.
pub(crate) fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

/// The scopes of such a text; those that a later release knows are left out.
pub(crate) fn split(text: &str) -> Vec<Scope> {
    text.split(' ').filter_map(Scope::from_name).collect()
}
