//! Completion: what the word before the cursor can become. Commands and options come from the
//! table; paths are asked of the server, by whoever calls this.

use super::table::{self, ROWS};

/// What could stand where the cursor is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// One of these words.
    Words(Vec<&'static str>),
    /// A child of this node whose name begins so.
    Child { parent: String, prefix: String },
}

/// What the word at the end of `line` can become, and where in the line that word begins.
pub(super) fn want(line: &str) -> (usize, Want) {
    let (begin, word) = last_word(line);
    let before: Vec<String> = super::words::split(line.get(..begin).unwrap_or_default());
    let command = before.iter().find(|word| *word != "--json");
    let Some(command) = command else { return (begin, names(word)) };
    if word.starts_with('/') {
        let (above, prefix) = word.rsplit_once('/').unwrap_or_default();
        let parent = if above.is_empty() { "/" } else { above };
        let child = Want::Child { parent: parent.to_owned(), prefix: prefix.to_owned() };
        return (begin, child);
    }
    let words: Vec<&'static str> = match (command.as_str(), before.last().map(String::as_str)) {
        ("help", _) => return (begin, names(word)),
        ("printwatches", _) => vec!["off", "on"],
        ("addWatch" | "watch", Some("-m")) => vec!["PERSISTENT", "PERSISTENT_RECURSIVE"],
        ("addauth", Some("addauth")) => vec!["digest"],
        _ => return (begin, options(command, word)),
    };
    (begin, Want::Words(words.into_iter().filter(|known| known.starts_with(word)).collect()))
}

fn names(prefix: &str) -> Want {
    let names = ROWS.iter().map(|row| row.name);
    Want::Words(names.filter(|name| name.starts_with(prefix)).collect())
}

/// The options of a command that begin with what follows the dash.
fn options(command: &str, word: &str) -> Want {
    let Some(prefix) = word.strip_prefix('-') else { return Want::Words(Vec::new()) };
    let row = table::find(command);
    let own = row.iter().flat_map(|row| row.options).map(|option| option.name);
    let own = own.filter(|name| name.starts_with(prefix)).collect();
    Want::Words(own)
}

/// The word at the end of a line, without the quote that may open it, and where it begins.
fn last_word(line: &str) -> (usize, &str) {
    let mut begin = 0;
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter.is_whitespace() => begin = at + letter.len_utf8(),
            None if matches!(letter, '"' | '\'') && before.is_whitespace() => {
                quote = Some(letter);
                begin = at + letter.len_utf8();
            }
            Some(_) | None => {}
        }
        before = letter;
    }
    (begin, line.get(begin..).unwrap_or_default())
}

/// How a word is put into the line: options keep their dash.
pub(super) fn replacement(line: &str, begin: usize, word: &str) -> String {
    let dashed = line.get(begin..).is_some_and(|typed| typed.starts_with('-'));
    if dashed { format!("-{word}") } else { word.to_owned() }
}

/// The path of a child, as it stands in the line.
pub(super) fn child_path(parent: &str, name: &str) -> String {
    super::walk::child(parent, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, begin: usize, words: &[&'static str]) {
        assert_eq!(want(line), (begin, Want::Words(words.to_vec())), "{line:?}");
    }

    #[track_caller]
    fn check_path(line: &str, begin: usize, parent: &str, prefix: &str) {
        let child = Want::Child { parent: parent.to_owned(), prefix: prefix.to_owned() };
        assert_eq!(want(line), (begin, child), "{line:?}");
    }

    #[test]
    fn a_line_begins_with_a_command() {
        check("getA", 0, &["getAcl", "getAllChildrenNumber"]);
        check("  who", 2, &["whoami"]);
        check("frob", 0, &[]);
        check("help addw", 5, &[]);
        check("help addW", 5, &["addWatch"]);
        assert!(matches!(want(""), (0, Want::Words(all)) if all.len() == ROWS.len()));
    }

    #[test]
    fn a_dash_begins_an_option_of_the_command() {
        check("getAcl -", 7, &["s"]);
        check("reconfig -re", 9, &["remove"]);
        check("whoami -", 7, &[]);
        check("frob -", 5, &[]);
        assert_eq!(replacement("reconfig -re", 9, "remove"), "-remove");
        assert_eq!(replacement("printwatches o", 13, "on"), "on");
    }

    #[test]
    fn some_words_have_few_values() {
        check("printwatches o", 13, &["off", "on"]);
        check("addWatch -m P", 12, &["PERSISTENT", "PERSISTENT_RECURSIVE"]);
        check("set /a ", 7, &[]);
    }

    #[test]
    fn a_slash_begins_a_path() {
        check_path("ls /", 3, "/", "");
        check_path("ls -s /zoo", 6, "/", "zoo");
        check_path("get /zookeeper/qu", 4, "/zookeeper", "qu");
        check_path("get /a/", 4, "/a", "");
        check_path("get '/a b/c d", 5, "/a b", "c d");
        check_path("set /ä/ö", 4, "/ä", "ö");
        assert_eq!(child_path("/", "a"), "/a");
        assert_eq!(child_path("/a b", "c"), "/a b/c");
    }
}
