//! What the other modules of the service share: settings, secrets, and the protocol of workers.

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod keys;
pub mod protocol;
pub(crate) mod scope;
pub(crate) mod secret;
