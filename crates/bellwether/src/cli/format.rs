//! What zkCli prints, as it prints it.

use crate::calendar::{Moment, moment};
use bellwether_client::{EventType, KeeperState, Stat, WatchEvent};

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

/// A watch event.
pub(super) fn event(event: &WatchEvent) -> String {
    let WatchEvent { zxid, event, state, path } = event;
    format!(
        "\nWATCHER::\n\nWatchedEvent state:{state:?} type:{event:?} path:{path} zxid: {}",
        zxid.0
    )
}

/// A change of the session, which zkCli prints as an event without a path.
pub(super) fn session_event(state: KeeperState) -> String {
    let none = EventType::None;
    format!("\nWATCHER::\n\nWatchedEvent state:{state:?} type:{none:?} path:null zxid: -1")
}

/// Milliseconds since 1970 as Java's `Date` shows them in UTC.
pub(super) fn date(ms: i64) -> String {
    let Moment { year, month, day, hour, minute, second, days, .. } = moment(ms);
    let weekday = match days.rem_euclid(7) {
        0 => "Thu",
        1 => "Fri",
        2 => "Sat",
        3 => "Sun",
        4 => "Mon",
        5 => "Tue",
        _ => "Wed",
    };
    let month = match month {
        1 => "Jan",
        2 => "Feb",
        3 => "Mar",
        4 => "Apr",
        5 => "May",
        6 => "Jun",
        7 => "Jul",
        8 => "Aug",
        9 => "Sep",
        10 => "Oct",
        11 => "Nov",
        _ => "Dec",
    };
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Data for a person: what a terminal would obey is shown as an escape.
pub(super) fn for_terminal(data: &[u8]) -> String {
    let mut shown = String::new();
    for letter in String::from_utf8_lossy(data).chars() {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Data in hexadecimal, sixteen bytes to a line, in the frame that zkCli draws.
pub(super) fn hex_dump(data: &[u8]) -> String {
    if data.is_empty() {
        return String::new();
    }
    let rule = format!("+--------+{}+----------------+", "-".repeat(49));
    let digits: String = (0..16).map(|digit| format!("  {digit:x}")).collect();
    let mut lines = vec![
        format!("         +{}+", "-".repeat(49)),
        format!("         |{digits} |"),
        rule.clone(),
    ];
    for (line, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(shown).collect();
        lines.push(format!("|{:08x}|{hex:48} |{text:16}|", line * 16));
    }
    lines.push(rule);
    lines.join("\n")
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
    fn a_hex_dump_has_sixteen_bytes_to_a_line() {
        let dump = hex_dump(b"0123456789abcdef\n");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[1], "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |");
        let first = "|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|";
        assert_eq!(lines[3], first);
        assert!(
            lines[4].starts_with("|00000010| 0a  ") && lines[4].ends_with("|.               |")
        );
        assert!(lines.iter().skip(2).all(|line| line.len() == first.len()));
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn a_terminal_is_given_nothing_to_obey() {
        assert_eq!(for_terminal(b"a\tb\n\x1b[31m\xff"), "a\tb\n\\u{1b}[31m\u{fffd}");
    }
}
