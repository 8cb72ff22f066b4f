//! The keys of a data folder: some sign the paths of files, some encrypt secrets. Each has an id, and
//! what it made names it, so that a new one takes over while what the old ones made still holds.

use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::secret::{self, mac, random};

/// The file of the data folder that holds the keys.
pub(crate) const KEYS: &str = "keys";

/// The id of the keys of releases that had one of each kind; what they made names none.
const FIRST: &str = "0";

/// The keys of a data folder, as its file has them: of each kind one or more, the newest last.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    signing: Vec<Key>,
    encryption: Vec<Key>,
}

/// A key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Key {
    /// Digits.
    id: String,
    /// 32 bytes, in base 64.
    key: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// A kind of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// Those that sign URLs.
    Signing,
    /// Those that encrypt the secrets of storage providers.
    Encryption,
}

impl Key {
    fn new(id: String, bytes: &[u8]) -> Self {
        Self { id, key: BASE64_STANDARD.encode(bytes) }
    }

    fn bytes(&self) -> Option<[u8; 32]> {
        BASE64_STANDARD.decode(&self.key).ok()?.try_into().ok()
    }
}

impl Keys {
    /// New keys, one of each kind.
    fn random() -> Self {
        let key = || vec![Key::new(FIRST.to_owned(), &random::<32>())];
        Self { signing: key(), encryption: key() }
    }

    /// Reads the file: JSON, or 64 bytes of an older release, 32 for signing and 32 for encryption.
    /// `None` for anything else.
    fn read(bytes: &[u8]) -> Option<Self> {
        if let Ok(bytes) = <&[u8; 64]>::try_from(bytes) {
            let key = |bytes| vec![Key::new(FIRST.to_owned(), bytes)];
            return Some(Self { signing: key(&bytes[..32]), encryption: key(&bytes[32..]) });
        }
        let keys: Self = serde_json::from_slice(bytes).ok()?;
        let all = || [&keys.signing, &keys.encryption];
        let is_sound = all()
            .into_iter()
            .all(|keys| !keys.is_empty() && keys.iter().all(|key| key.bytes().is_some()));
        is_sound.then_some(keys)
    }

    /// Reads the keys of a data folder.
    pub(crate) fn load(data: &Path) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "keys are no media")]
        let bytes = fs::read(data.join(KEYS))?;
        let wrong = "the file has neither keys in JSON, nor the 64 bytes of an older release";
        Self::read(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, wrong))
    }

    /// Reads the keys of a data folder; makes them at its first start.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        match Self::load(data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Self::random();
                secret::write(&data.join(KEYS), keys.text().as_bytes())?;
                Ok(keys)
            }
            loaded => loaded,
        }
    }

    /// Puts these keys in the place of those of a data folder. The file is whole at any moment.
    pub(crate) fn replace(&self, data: &Path) -> io::Result<()> {
        let new = data.join("keys.new");
        let _ = fs::remove_file(&new);
        secret::write(&new, self.text().as_bytes())?;
        let old = data.join(KEYS);
        // The operator may be root, and the service is not.
        let owner = fs::metadata(&old)?;
        chown(&new, Some(owner.uid()), Some(owner.gid()))?;
        fs::rename(&new, old)
    }

    /// The text of the file.
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Adds a key, which takes over; returns its id.
    pub(crate) fn rotate(&mut self, kind: KeyKind) -> String {
        let keys = match kind {
            KeyKind::Signing => &mut self.signing,
            KeyKind::Encryption => &mut self.encryption,
        };
        let last = keys.iter().filter_map(|key| key.id.parse::<u64>().ok()).max();
        let id = last.map_or(0, |last| last + 1).to_string();
        keys.push(Key::new(id.clone(), &random::<32>()));
        id
    }

    /// The URL query that lets GET and HEAD read a path until `expires`, in seconds since 1970.
    pub(crate) fn sign(&self, path: &str, expires: u64) -> String {
        let key = self.signing.last();
        let signature = key.map(|key| BASE64_URL_SAFE_NO_PAD.encode(signature(key, path, expires)));
        let id = key.map(|key| key.id.as_str()).unwrap_or_default();
        format!("expires={expires}&signature={}.{id}", signature.unwrap_or_default())
    }

    /// Whether a signature belongs to a path and an expiry; compared in constant time.
    pub(crate) fn is_signed(&self, path: &str, expires: u64, text: &str) -> bool {
        let (text, id) = text.split_once('.').unwrap_or((text, FIRST));
        let Some(key) = self.signing.iter().find(|key| key.id == id) else { return false };
        let given = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        signature(key, path, expires).ct_eq(&given).into()
    }

    /// Encrypts a secret (AES-256-GCM). `of` names its owner, and is needed to decrypt it.
    pub(crate) fn encrypt(&self, of: &str, secret: &str) -> Option<String> {
        let key = self.encryption.last()?;
        let nonce = random::<12>();
        let cipher = Aes256Gcm::new_from_slice(&key.bytes()?).ok()?;
        let payload = Payload { msg: secret.as_bytes(), aad: of.as_bytes() };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some(format!("{}.{}", BASE64_STANDARD.encode([&nonce[..], &sealed].concat()), key.id))
    }

    /// Decrypts a secret; `None` when it was altered, or was encrypted for another owner or key.
    pub(crate) fn decrypt(&self, of: &str, sealed: &str) -> Option<String> {
        let (sealed, id) = sealed.split_once('.').unwrap_or((sealed, FIRST));
        let key = self.encryption.iter().find(|key| key.id == id)?;
        let bytes = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
        let cipher = Aes256Gcm::new_from_slice(&key.bytes()?).ok()?;
        let payload = Payload { msg: sealed, aad: of.as_bytes() };
        String::from_utf8(cipher.decrypt(&Nonce::from(*nonce), payload).ok()?).ok()
    }

    /// A secret in the form that the newest key makes; `None` when it has that form, or can not be
    /// decrypted.
    pub(crate) fn renewed(&self, of: &str, sealed: &str) -> Option<String> {
        let (_, id) = sealed.split_once('.').unwrap_or((sealed, FIRST));
        if self.encryption.last()?.id == id {
            return None;
        }
        self.encrypt(of, &self.decrypt(of, sealed)?)
    }
}

fn signature(key: &Key, path: &str, expires: u64) -> Vec<u8> {
    // HMAC accepts keys of any length, so the defaults are never used.
    let bytes = key.bytes().unwrap_or_default();
    mac(&bytes, format!("GET\n{path}\n{expires}").as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::read(&[byte; 64]).unwrap()
    }

    #[test]
    fn a_signature_holds_for_one_path_and_one_end() {
        let keys = keys(7);
        let query = keys.sign("/files/a/b.mp4", 100);
        let signature = query.rsplit('=').next().unwrap();
        assert!(keys.is_signed("/files/a/b.mp4", 100, signature));
        // Older releases named no key.
        assert!(keys.is_signed("/files/a/b.mp4", 100, signature.strip_suffix(".0").unwrap()));
        assert!(!keys.is_signed("/files/a/c.mp4", 100, signature));
        assert!(!keys.is_signed("/files/a/b.mp4", 101, signature));
        assert!(!keys.is_signed("/files/a/b.mp4", 100, ""));
        assert!(!super::tests::keys(8).is_signed("/files/a/b.mp4", 100, signature));
    }

    #[test]
    fn a_secret_comes_back_to_its_owner_only() {
        let keys = keys(7);
        let sealed = keys.encrypt("provider 1", "secret").unwrap();
        assert!(
            !sealed.contains("secret") && sealed != keys.encrypt("provider 1", "secret").unwrap()
        );
        assert_eq!(keys.decrypt("provider 1", &sealed).as_deref(), Some("secret"));
        let old = sealed.strip_suffix(".0").unwrap();
        assert_eq!(keys.decrypt("provider 1", old).as_deref(), Some("secret"));
        assert_eq!(keys.decrypt("provider 2", &sealed), None);
        assert_eq!(super::tests::keys(8).decrypt("provider 1", &sealed), None);
    }

    #[test]
    fn a_new_key_takes_over_and_the_old_one_still_opens() {
        let mut keys = keys(7);
        let (query, sealed) = (keys.sign("/a", 100), keys.encrypt("p", "secret").unwrap());
        assert_eq!(
            [KeyKind::Signing, KeyKind::Encryption].map(|kind| keys.rotate(kind)),
            ["1", "1"]
        );
        let keys = Keys::read(keys.text().as_bytes()).unwrap();
        let signature = |query: &str| query.rsplit('=').next().unwrap().to_owned();
        assert!(keys.is_signed("/a", 100, &signature(&query)));
        let new = signature(&keys.sign("/a", 100));
        assert!(new.ends_with(".1") && keys.is_signed("/a", 100, &new));
        assert!(!keys.is_signed("/a", 100, &new.replace(".1", ".0")));
        let renewed = keys.renewed("p", &sealed).unwrap();
        assert_eq!(keys.decrypt("p", &renewed).as_deref(), Some("secret"));
        assert_eq!(keys.renewed("p", &renewed), None);
        for wrong in ["", "{}", r#"{"signing":[],"encryption":[]}"#] {
            assert!(Keys::read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
