//! One watched value of configuration: typed, versioned, with the values before it.
//!
//! What it keeps true: a value and its predecessor are written in one multi, so whoever sees the
//! new one can go back to the old one.

use super::exact::find;
use super::line::ended;
use super::nodes::{child, ensure_above, names, read};
use crate::{Client, Create, CreateMode, Error, ErrorCode, Multi, OneshotWatcher, Stat};
use std::marker::PhantomData;

/// How many earlier values are kept unless said otherwise.
const KEPT: usize = 10;

/// What a [`Setting`] can hold. It is stored as people would type it.
pub trait Value: Sized {
    /// The bytes to store.
    fn encode(&self) -> Vec<u8>;
    /// The value of stored bytes, or what is wrong with them.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

impl Value for Vec<u8> {
    fn encode(&self) -> Vec<u8> {
        self.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }
}

impl Value for String {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<String, String> {
        String::from_utf8(bytes.to_vec()).map_err(|error| format!("not UTF-8: {error}"))
    }
}

macro_rules! value_as_text {
    ($($kind:ty: $what:literal),*) => {$(
        impl Value for $kind {
            fn encode(&self) -> Vec<u8> {
                self.to_string().into_bytes()
            }

            fn decode(bytes: &[u8]) -> Result<$kind, String> {
                let text = String::decode(bytes)?;
                text.trim().parse().map_err(|_| format!("{text:?} is not {}", $what))
            }
        }
    )*};
}

value_as_text!(i64: "a whole number", f64: "a number", bool: "true or false");

impl Value for serde_json::Value {
    fn encode(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<serde_json::Value, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))
    }
}

/// What a [`Setting`] is, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// The value, or why what is stored is none.
    pub value: Result<T, Box<str>>,
    /// Its version: 0 for the first, one more with each change.
    pub version: i32,
    /// When it was set, by the leader's clock, in milliseconds since 1970.
    pub set_ms: i64,
}

/// A value at a path, of type `T`.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    client: Client,
    path: Box<str>,
    kept: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T: Value> Setting<T> {
    /// The setting at `path`.
    pub fn new(client: &Client, path: &str) -> Setting<T> {
        Setting { client: client.clone(), path: path.into(), kept: KEPT, kind: PhantomData }
    }

    /// How many earlier values to keep.
    #[must_use]
    pub fn keep(mut self, values: usize) -> Setting<T> {
        self.kept = values;
        self
    }

    fn history(&self) -> String {
        child(&self.path, "history")
    }

    fn past(&self, version: i32) -> String {
        child(&self.history(), &format!("{version:010}"))
    }

    /// The value; `None` if it was never set.
    pub async fn get(&self) -> Result<Option<Reading<T>>, Error> {
        let found = read(&self.client, &self.path).await?;
        Ok(found.map(|(data, stat)| reading(&data, &stat)))
    }

    /// Sets the value, whatever it was. Gives its version. For its doubts, see
    /// [`Setting::set_if`].
    pub async fn set(&self, value: &T) -> Result<i32, Error> {
        self.set_bytes(&value.encode()).await
    }

    async fn set_bytes(&self, new: &[u8]) -> Result<i32, Error> {
        loop {
            let Some((old, stat)) = read(&self.client, &self.path).await? else {
                match self.set_first_bytes(new).await {
                    Err(error) if error.code() == Some(ErrorCode::NodeExists) => continue,
                    // What is above was deleted meanwhile.
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
                    known => return known,
                }
            };
            if let Some(version) = self.replace(new, (&old, &stat)).await? {
                return Ok(version);
            }
        }
    }

    /// Sets the first value: `NODEEXISTS` if there is one.
    pub async fn set_first(&self, value: &T) -> Result<i32, Error> {
        self.set_first_bytes(&value.encode()).await
    }

    async fn set_first_bytes(&self, new: &[u8]) -> Result<i32, Error> {
        ensure_above(&self.client, &self.path).await?;
        let create = Create::new(&self.path, CreateMode::Persistent).data(new);
        let created = self.client.retrying().create(create).await?;
        Ok(created.stat.version)
    }

    /// Sets the value if it has this version: `BADVERSION` if not. Gives its new version.
    ///
    /// `ConnectionLost`: it may have been set. That happens if the connection is lost, and when it
    /// is there again the value has changed so often that it is not even kept as an earlier one.
    pub async fn set_if(&self, value: &T, version: i32) -> Result<i32, Error> {
        self.set_bytes_if(&value.encode(), version).await
    }

    async fn set_bytes_if(&self, new: &[u8], version: i32) -> Result<i32, Error> {
        let refused =
            |code| Error::Refused { op: crate::OpCode::SetData, path: self.path.clone(), code };
        loop {
            let Some((old, stat)) = read(&self.client, &self.path).await? else {
                return Err(refused(ErrorCode::NoNode));
            };
            if stat.version != version {
                return Err(refused(ErrorCode::BadVersion));
            }
            if let Some(version) = self.replace(new, (&old, &stat)).await? {
                return Ok(version);
            }
        }
    }

    /// Sets the value in place of this one, and gives its version; `None` if it did not happen, and
    /// another look may tell why.
    async fn replace(&self, new: &[u8], old: (&[u8], &Stat)) -> Result<Option<i32>, Error> {
        let (data, stat) = old;
        let next = stat.version.wrapping_add(1);
        let change = self.change(new, data, stat.version).await?;
        match self.client.multi(change).await {
            Ok(_) => Ok(Some(next)),
            Err(Error::ConnectionLost) => Ok(self.has_happened(new, stat).await?.then_some(next)),
            Err(error) => match error.code() {
                // Another was first, with the value or with the list of earlier ones.
                Some(ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode) => Ok(None),
                Some(_) | None => Err(error),
            },
        }
    }

    /// What became of a change of the node with this stat, when the connection was lost. The value
    /// tells, or the earlier ones if it has changed more than once.
    async fn has_happened(&self, new: &[u8], old: &Stat) -> Result<bool, Error> {
        let next = old.version.wrapping_add(1);
        match find(&self.client, &self.path).await? {
            Some((_, stat)) if stat.czxid != old.czxid => Err(Error::ConnectionLost),
            Some((_, stat)) if stat.version == old.version => Ok(false),
            Some((data, stat)) if stat.version == next => Ok(*data == *new),
            Some(_) => match find(&self.client, &self.past(next)).await? {
                Some((data, _)) => Ok(*data == *new),
                None => Err(Error::ConnectionLost),
            },
            None => Err(Error::ConnectionLost),
        }
    }

    /// The new value, the old one among the earlier, and the oldest of those gone.
    async fn change(&self, new: &[u8], old: &[u8], version: i32) -> Result<Multi, Error> {
        let multi = Multi::new().set_data(&self.path, new, Some(version));
        if self.kept == 0 {
            return Ok(multi);
        }
        self.client.retrying().ensure_path(&self.history()).await?;
        let mut versions = self.past_versions().await?;
        // One with this version is left from a setting that was deleted but for its history.
        let mut multi = multi;
        if let Some(place) = versions.iter().position(|past| *past == version) {
            versions.remove(place);
            multi = multi.delete(&self.past(version), None);
        }
        let past = Create::new(&self.past(version), CreateMode::Persistent).data(old);
        let surplus = (versions.len() + 1).saturating_sub(self.kept);
        let oldest = versions.into_iter().take(surplus);
        Ok(oldest.fold(multi.create(past), |multi, old| multi.delete(&self.past(old), None)))
    }

    async fn past_versions(&self) -> Result<Vec<i32>, Error> {
        let names = names(&self.client, &self.history()).await?;
        let mut versions: Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// The earlier values that are kept, the newest first.
    pub async fn earlier(&self) -> Result<Vec<Reading<T>>, Error> {
        let mut found = Vec::new();
        for version in self.past_versions().await?.into_iter().rev() {
            // If there is nothing to read, newer ones came.
            let past = read(&self.client, &self.past(version)).await?;
            found.extend(past.map(|(data, stat)| {
                let value = T::decode(&data).map_err(Box::from);
                Reading { value, version, set_ms: stat.ctime }
            }));
        }
        Ok(found)
    }

    /// Sets what the value was at an earlier version, as a new version: `NONODE` if that is not
    /// kept.
    pub async fn roll_back_to(&self, version: i32) -> Result<i32, Error> {
        let (data, _) = self.client.retrying().get_data(&self.past(version)).await?;
        self.set_bytes(&data.unwrap_or_default()).await
    }

    /// Sets the value before this one, as a new version: `NONODE` if none is kept. Done twice, it
    /// leads back to where it began. If another sets the value meanwhile, the one before that is
    /// meant. For its doubts, see [`Setting::set_if`].
    pub async fn roll_back(&self) -> Result<i32, Error> {
        loop {
            let now = read(&self.client, &self.path).await?.map_or(-1, |(_, stat)| stat.version);
            let earlier = self.past_versions().await?;
            let before = earlier.into_iter().rev().find(|past| *past < now).unwrap_or(-1);
            let past = read(&self.client, &self.past(before)).await?;
            let set = match past {
                Some((data, _)) => self.set_bytes_if(&data, now).await,
                None if before == -1 => return self.roll_back_to(before).await,
                None => continue, // Newer ones came.
            };
            match set {
                Err(error) if error.code() == Some(ErrorCode::BadVersion) => {}
                known => return known,
            }
        }
    }

    /// Follows the value.
    pub fn watch(&self) -> SettingWatch<T>
    where
        T: Clone,
    {
        SettingWatch { setting: self.clone(), watcher: None, last: None }
    }
}

fn reading<T: Value>(data: &[u8], stat: &Stat) -> Reading<T> {
    let value = T::decode(data).map_err(Box::from);
    Reading { value, version: stat.version, set_ms: stat.mtime }
}

/// Follows a [`Setting`].
#[derive(Debug)]
pub struct SettingWatch<T> {
    setting: Setting<T>,
    watcher: Option<OneshotWatcher>,
    /// The mzxid of what was told last; `None` before the first time, 0 for no value.
    last: Option<i64>,
}

impl<T: Value> SettingWatch<T> {
    /// The value, at once for the first time and then whenever it was set, or deleted (`None`).
    /// Values of a short time may be left out.
    pub async fn next(&mut self) -> Result<Option<Reading<T>>, Error> {
        loop {
            if let Some(watcher) = self.watcher.take() {
                watcher.changed().await.map_err(ended)?;
            }
            let client = &self.setting.client;
            let found = match client.get_data_and_watch(&self.setting.path).await {
                Ok((data, stat, watcher)) => {
                    self.watcher = Some(watcher);
                    Some((data.unwrap_or_default(), stat))
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    match client.exists_and_watch(&self.setting.path).await {
                        Ok((None, watcher)) => self.watcher = Some(watcher),
                        // It is there after all, or another look will tell.
                        Ok((Some(_), _)) | Err(Error::ConnectionLost) => continue,
                        Err(error) => return Err(error),
                    }
                    None
                }
                Err(Error::ConnectionLost) => continue,
                Err(error) => return Err(error),
            };
            let mark = found.as_ref().map_or(0, |(_, stat)| stat.mzxid.0);
            if self.last != Some(mark) {
                self.last = Some(mark);
                return Ok(found.map(|(data, stat)| reading(&data, &stat)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_as_people_type_them() {
        assert_eq!(42_i64.encode(), b"42");
        assert_eq!(i64::decode(b" 42\n"), Ok(42));
        assert_eq!(bool::decode(b"true"), Ok(true));
        assert_eq!(f64::decode(b"0.5"), Ok(0.5));
        assert_eq!(i64::decode(b"4x"), Err("\"4x\" is not a whole number".to_owned()));
        assert!(String::decode(&[0xff]).is_err());
    }
}
