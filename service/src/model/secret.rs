//! Secrets: API keys, and the signatures of webhooks.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rand::{Rng, RngCore};
use sha2::{Digest, Sha256};

/// What every API key begins with.
pub(crate) const KEY_PREFIX: &str = "avo_";

/// How many base-62 letters follow the prefix; 48 of them hold 285 bits.
const KEY_LETTERS: usize = 48;

/// The prefix of a webhook secret (Standard Webhooks).
const WEBHOOK_PREFIX: &str = "whsec_";

/// Makes an API key. It is shown once; only its [`hash`] is stored.
pub(crate) fn new_key() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = rand::rng();
    let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    let letters: String = (0..KEY_LETTERS).map(letter).collect();
    format!("{KEY_PREFIX}{letters}")
}

/// The stored form of an API key. The key is random, so a fast hash without salt is enough.
pub(crate) fn hash(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(key))
}

/// The part of an API key that may be shown, to tell it from others.
pub(crate) fn shown(key: &str) -> String {
    let letters: String = key.chars().take(KEY_PREFIX.len() + 4).collect();
    format!("{letters}…")
}

/// Bytes from a cryptographically secure generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// Makes a webhook secret of 24 random bytes.
pub(crate) fn new_webhook_secret() -> String {
    format!("{WEBHOOK_PREFIX}{}", BASE64_STANDARD.encode(random::<24>()))
}

/// Writes a new file that only its owner may read, and syncs it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    #[expect(clippy::disallowed_methods, reason = "keys are no media")]
    let mut file = options.open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn mac(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}

/// The signature of a webhook: `v1,` and the base-64 HMAC-SHA256 of id, time in seconds since 1970
/// and body. `None` for a malformed secret.
pub(crate) fn sign_webhook(secret: &str, id: &str, seconds: u64, body: &str) -> Option<String> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix(WEBHOOK_PREFIX)?).ok()?;
    let mac = mac(&key, format!("{id}.{seconds}.{body}").as_bytes())?;
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac)))
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_never_the_same() {
        let (one, other) = (new_key(), new_key());
        assert!(one.starts_with("avo_") && one.len() == 52 && one != other);
        assert!(one[4..].chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(hash(&one), hash(&other));
        assert!(!shown(&one).contains(&one[8..]));
    }

    /// The example of the specification (Standard Webhooks, symmetric signatures).
    #[test]
    fn a_webhook_is_signed_as_the_standard_has_it() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signature = sign_webhook(secret, id, 1_614_265_330, body);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature.as_deref(), Some(expected));
        assert_eq!(sign_webhook("none", id, 0, body), None);
    }
}
