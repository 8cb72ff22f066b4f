//! Secrets: API keys, the signatures of URLs and webhooks, and the encryption of stored secrets.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rand::{Rng, RngCore};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

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

fn mac(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
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

/// The keys of a data folder: one signs the paths of files, one encrypts secrets.
#[derive(Clone)]
pub(crate) struct Keys {
    signing: [u8; 32],
    encryption: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Takes the 64 bytes of the key file: 32 for signing, 32 for encryption.
    pub(crate) fn new(bytes: &[u8; 64]) -> Self {
        let (mut signing, mut encryption) = ([0; 32], [0; 32]);
        signing.copy_from_slice(&bytes[..32]);
        encryption.copy_from_slice(&bytes[32..]);
        Self { signing, encryption }
    }

    /// The URL query that lets GET and HEAD read a path until `expires`, in seconds since 1970.
    pub(crate) fn sign(&self, path: &str, expires: u64) -> String {
        let signature = self.signature(path, expires);
        format!("expires={expires}&signature={}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether a signature belongs to a path and an expiry; compared in constant time.
    pub(crate) fn is_signed(&self, path: &str, expires: u64, signature: &str) -> bool {
        let given = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        self.signature(path, expires).ct_eq(&given).into()
    }

    fn signature(&self, path: &str, expires: u64) -> Vec<u8> {
        // HMAC accepts keys of any length, so the default is never used.
        mac(&self.signing, format!("GET\n{path}\n{expires}").as_bytes()).unwrap_or_default()
    }

    /// Encrypts a secret (AES-256-GCM). `of` names its owner, and is needed to decrypt it.
    pub(crate) fn encrypt(&self, of: &str, secret: &str) -> Option<String> {
        let nonce = random::<12>();
        let cipher = Aes256Gcm::new_from_slice(&self.encryption).ok()?;
        let payload = Payload { msg: secret.as_bytes(), aad: of.as_bytes() };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some(BASE64_STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Decrypts a secret; `None` when it was altered, or was encrypted for another owner or key.
    pub(crate) fn decrypt(&self, of: &str, sealed: &str) -> Option<String> {
        let bytes = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
        let cipher = Aes256Gcm::new_from_slice(&self.encryption).ok()?;
        let payload = Payload { msg: sealed, aad: of.as_bytes() };
        String::from_utf8(cipher.decrypt(&Nonce::from(*nonce), payload).ok()?).ok()
    }
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_key_is_long_and_never_the_same() {
        let (one, other) = (new_key(), new_key());
        assert!(one.starts_with("avo_") && one.len() == 52 && one != other);
        assert!(one[4..].chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(hash(&one), hash(&other));
        assert!(!shown(&one).contains(&one[8..]));
    }

    #[test]
    fn a_signature_holds_for_one_path_and_one_end() {
        let keys = Keys::new(&[7; 64]);
        let query = keys.sign("/files/a/b.mp4", 100);
        let signature = query.rsplit('=').next().unwrap();
        assert!(keys.is_signed("/files/a/b.mp4", 100, signature));
        assert!(!keys.is_signed("/files/a/c.mp4", 100, signature));
        assert!(!keys.is_signed("/files/a/b.mp4", 101, signature));
        assert!(!keys.is_signed("/files/a/b.mp4", 100, ""));
        assert!(!Keys::new(&[8; 64]).is_signed("/files/a/b.mp4", 100, signature));
    }

    #[test]
    fn a_secret_comes_back_to_its_owner_only() {
        let keys = Keys::new(&[7; 64]);
        let sealed = keys.encrypt("provider 1", "secret").unwrap();
        assert!(
            !sealed.contains("secret") && sealed != keys.encrypt("provider 1", "secret").unwrap()
        );
        assert_eq!(keys.decrypt("provider 1", &sealed).as_deref(), Some("secret"));
        assert_eq!(keys.decrypt("provider 2", &sealed), None);
        assert_eq!(Keys::new(&[8; 64]).decrypt("provider 1", &sealed), None);
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
