//! What zkCli prints, as it prints it.

use bellwether_client::{Error, ErrorCode, EventType, KeeperState, OpCode, Stat, WatchEvent};

/// A node's stat, a line per field.
pub(super) fn stat(stat: &Stat) -> String {
    [
        format!("cZxid = {}", stat.czxid),
        format!("ctime = {}", date(stat.ctime)),
        format!("mZxid = {}", stat.mzxid),
        format!("mtime = {}", date(stat.mtime)),
        format!("pZxid = {}", stat.pzxid),
        format!("cversion = {}", stat.cversion),
        format!("dataVersion = {}", stat.version),
        format!("aclVersion = {}", stat.aversion),
        format!("ephemeralOwner = 0x{:x}", stat.ephemeral_owner),
        format!("dataLength = {}", stat.data_length),
        format!("numChildren = {}", stat.num_children),
    ]
    .join("\n")
}

/// Names in order, `[a, b]`.
pub(super) fn names(mut names: Vec<Box<str>>) -> String {
    names.sort();
    format!("[{}]", names.join(", "))
}

/// A watch event.
pub(super) fn event(event: &WatchEvent) -> String {
    let WatchEvent { zxid, event, state, path } = event;
    format!(
        "\nWATCHER::\n\nWatchedEvent state:{state:?} type:{event:?} path:{path} zxid: {}",
        zxid.0
    )
}

/// Said where a persistent watch may have missed something. zkCli keeps silent here.
pub(super) const GAP: &str = "\nWATCHER::\n\nEvents may be missing here: the connection was lost \
                              for a while, or they came too fast. Read again what you watch.";

/// A change of the session, which zkCli prints as an event without a path.
pub(super) fn session_event(state: KeeperState) -> String {
    let none = EventType::None;
    format!("\nWATCHER::\n\nWatchedEvent state:{state:?} type:{none:?} path:null zxid: -1")
}

/// Milliseconds since 1970 as Java's `Date` shows them in UTC.
pub(super) fn date(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // 1970 began on a Thursday.
    let weekday = match days.rem_euclid(7) {
        0 => "Thu",
        1 => "Fri",
        2 => "Sat",
        3 => "Sun",
        4 => "Mon",
        5 => "Tue",
        _ => "Wed",
    };
    let (year, month, day) = civil(days);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on a first of March, so that the leap day is the last
/// of its year.
fn civil(days: i64) -> (i64, &'static str, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0 => "Mar",
        1 => "Apr",
        2 => "May",
        3 => "Jun",
        4 => "Jul",
        5 => "Aug",
        6 => "Sep",
        7 => "Oct",
        8 => "Nov",
        9 => "Dec",
        10 => "Jan",
        _ => "Feb",
    };
    let year = year_of_era + era * 400 + i64::from(month_from_march >= 10);
    (year, month, day)
}

/// What an operation on `path` failed with: zkCli's words where it has some, then what to do.
pub(super) fn error(path: &str, error: &Error) -> String {
    let Error::Refused { op, code, .. } = error else { return other_error(error) };
    match refusal(*op, *code) {
        Some((what, hint)) => format!("{what}{path}{hint}"),
        None => error.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others have no words of zkCli's")]
fn refusal(op: OpCode, code: ErrorCode) -> Option<(&'static str, &'static str)> {
    let is_create = matches!(op, OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl);
    Some(match code {
        ErrorCode::NoNode if is_create => {
            ("Node does not exist: ", " (a node above it is missing: create that first)")
        }
        ErrorCode::NoNode => ("Node does not exist: ", ""),
        ErrorCode::NoChildrenForEphemerals => ("Ephemerals cannot have children: ", ""),
        ErrorCode::NodeExists => ("Node already exists: ", ""),
        ErrorCode::NotEmpty => ("Node not empty: ", " (delete its children first)"),
        ErrorCode::NotReadOnly => (
            "Not a read-only call: ",
            " (this server has lost its ensemble: connect to another one)",
        ),
        ErrorCode::InvalidAcl => ("Acl is not valid : ", " (it is empty, or an id does not fit)"),
        ErrorCode::NoAuth => ("Insufficient permission : ", " (its ACL does not allow it)"),
        ErrorCode::BadArguments => ("Arguments are not valid : ", ""),
        ErrorCode::BadVersion => (
            "version No is not valid : ",
            " (it was changed meanwhile: stat shows the dataVersion)",
        ),
        ErrorCode::QuotaExceeded => ("Quota has exceeded : ", ""),
        ErrorCode::Unimplemented => {
            ("Not offered by this server: ", " (TTLs need extendedTypesEnabled=true there)")
        }
        _ => return None,
    })
}

fn other_error(error: &Error) -> String {
    match error {
        Error::NoServer { .. } => {
            format!("{error}.\nIs a server running there? -server host:port names another one.")
        }
        Error::SessionEnded(..) => format!("{error}.\n`connect host:port` begins a new session."),
        Error::Refused { .. }
        | Error::Multi { .. }
        | Error::UnknownCode(_)
        | Error::ConnectionLost
        | Error::TooLarge { .. }
        | Error::Path { .. }
        | Error::Argument(_)
        | Error::Servers(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_client::Zxid;

    #[test]
    fn dates_are_those_of_java_in_utc() {
        assert_eq!(date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(date(-1), "Wed Dec 31 23:59:59 UTC 1969");
        assert_eq!(date(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(date(1_700_000_000_123), "Tue Nov 14 22:13:20 UTC 2023");
        assert_eq!(date(4_107_542_399_999), "Sun Feb 28 23:59:59 UTC 2100");
        assert_eq!(date(4_107_542_400_000), "Mon Mar 01 00:00:00 UTC 2100");
    }

    #[test]
    fn a_stat_is_printed_line_by_line() {
        let expected = "cZxid = 0x100000002\nctime = Thu Jan 01 00:00:00 UTC 1970\n\
                        mZxid = 0x0\nmtime = Thu Jan 01 00:00:00 UTC 1970\npZxid = 0x0\n\
                        cversion = 0\ndataVersion = 0\naclVersion = 0\n\
                        ephemeralOwner = 0xff\ndataLength = 5\nnumChildren = 0";
        let given = Stat {
            czxid: Zxid(0x1_0000_0002),
            ephemeral_owner: 255,
            data_length: 5,
            ..Stat::default()
        };
        assert_eq!(stat(&given), expected);
    }

    #[test]
    fn names_are_sorted() {
        assert_eq!(names(vec!["b".into(), "a".into()]), "[a, b]");
        assert_eq!(names(vec![]), "[]");
    }

    #[test]
    fn an_event_is_printed_as_zkcli_does() {
        let given = WatchEvent {
            zxid: Zxid(34),
            event: EventType::NodeDataChanged,
            state: KeeperState::SyncConnected,
            path: "/n".into(),
        };
        assert_eq!(
            event(&given),
            "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/n zxid: 34"
        );
    }

    #[test]
    fn errors_have_zkclis_words_and_a_hint() {
        let refused = |op, code| error("/a/b", &Error::Refused { op, path: "/a/b".into(), code });
        assert_eq!(refused(OpCode::GetData, ErrorCode::NoNode), "Node does not exist: /a/b");
        assert_eq!(
            refused(OpCode::Create2, ErrorCode::NoNode),
            "Node does not exist: /a/b (a node above it is missing: create that first)"
        );
        assert_eq!(refused(OpCode::GetData, ErrorCode::ApiError), "getData /a/b: APIERROR");
    }
}
