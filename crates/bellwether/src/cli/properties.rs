//! The file of `-client-configuration`: a client's settings, as Java properties.
//!
//! What this shell has is taken, what would change who can listen or who is trusted is refused, and
//! what it does not know is named: a setting is never dropped in silence.

use std::path::Path;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// `jute.maxbuffer`: the largest request.
    pub(super) request_bytes_max: Option<usize>,
    /// A line for each setting that changes nothing here.
    pub(super) warnings: Vec<String>,
}

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What becomes of a setting.
enum Row {
    RequestBytes,
    /// Refused where it is `true`: what is missing.
    RefusedIfTrue(&'static str),
    /// It has no meaning here.
    Meaningless,
}

fn row(key: &str) -> Option<Row> {
    Some(match key {
        "jute.maxbuffer" => Row::RequestBytes,
        "zookeeper.client.secure" => Row::RefusedIfTrue("this shell has no TLS"),
        "zookeeper.sasl.client" => Row::RefusedIfTrue("this shell has no SASL; addauth has digest"),
        _ if key.starts_with("zookeeper.ssl.") => Row::Meaningless,
        _ if key.starts_with("zookeeper.sasl.") => Row::Meaningless,
        "zookeeper.clientCnxnSocket" | "zookeeper.server.realm" => Row::Meaningless,
        _ => return None,
    })
}

impl Properties {
    pub(super) fn read(path: &Path) -> Result<Properties, String> {
        let named = |why: String| format!("-client-configuration {}: {why}", path.display());
        let size = std::fs::metadata(path).map_err(|error| named(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(named(format!("{size} bytes, expected at most {FILE_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Properties::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Properties, String> {
        let mut properties = Properties::default();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
            let (key, value) = (key.trim(), value.trim());
            match row(key) {
                Some(Row::RequestBytes) => {
                    let wrong = || format!("line {number}: {key}={value}: expected bytes above 0");
                    let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
                    properties.request_bytes_max = Some(bytes.ok_or_else(wrong)?);
                }
                Some(Row::RefusedIfTrue(why)) if value.eq_ignore_ascii_case("true") => {
                    return Err(format!("line {number}: {key}=true: {why}"));
                }
                Some(Row::RefusedIfTrue(_) | Row::Meaningless) => {}
                None => {
                    let text = format!("-client-configuration: {key} changes nothing here");
                    properties.warnings.push(text);
                }
            }
        }
        Ok(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_taken_refused_or_named() {
        let parsed =
            Properties::parse("# c\n\njute.maxbuffer = 4000000\nzookeeper.request.timeout=5");
        let warnings = vec![
            "-client-configuration: zookeeper.request.timeout changes nothing here".to_owned(),
        ];
        assert_eq!(parsed, Ok(Properties { request_bytes_max: Some(4_000_000), warnings }));
        let secure = Properties::parse("zookeeper.client.secure=true");
        let text = "line 1: zookeeper.client.secure=true: this shell has no TLS";
        assert_eq!(secure, Err(text.to_owned()));
        let off = Properties::parse("zookeeper.sasl.client=false\nzookeeper.ssl.x=y");
        assert_eq!(off, Ok(Properties::default()));
        let wrong = Properties::parse("jute.maxbuffer=much").unwrap_err();
        assert_eq!(wrong, "line 1: jute.maxbuffer=much: expected bytes above 0");
    }
}
