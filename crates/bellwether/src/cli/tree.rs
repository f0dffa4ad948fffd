//! What zkCli has no command for: `tree` draws what is below a node, `find` looks for nodes.

use super::failure::Failed;
use super::json;
use super::nodes::number;
use super::shell::Shell;
use super::walk::{Below, ask_all, child};
use super::words::Words;
use bellwether_client::{Client, Data, Error, ErrorCode, Stat};
use serde_json::json;

/// A node that is yet to be drawn.
struct Branch {
    path: String,
    name: String,
    /// What stands before everything below it.
    indent: String,
    /// What stands before its own name.
    joint: &'static str,
    depth: u32,
}

pub(super) async fn tree(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let client = shell.client()?;
    let depth_max = number(words, "L", "a depth")?.unwrap_or(u32::MAX);
    let top = words.arg(0).unwrap_or("/").to_owned();
    let root = Branch { name: top.clone(), path: top, indent: String::new(), joint: "", depth: 0 };
    let mut waiting = vec![root];
    let (mut count, mut refused) = (0_u64, 0_u64);
    while let Some(branch) = waiting.pop() {
        let (mut names, stat) = match client.get_children_and_stat(&branch.path).await {
            Ok((names, stat)) => (names, Some(stat)),
            Err(error) if branch.depth > 0 && error.code() == Some(ErrorCode::NoNode) => continue,
            Err(error) if branch.depth > 0 && error.code() == Some(ErrorCode::NoAuth) => {
                refused += 1;
                (Vec::new(), None)
            }
            Err(error) => return Err(error.into()),
        };
        count += 1;
        draw(shell, words, &branch, stat.as_ref());
        if branch.depth == depth_max {
            continue;
        }
        names.sort();
        waiting.extend(branches(&branch, &names));
    }
    shell.out.text(format_args!("\n{count} nodes"));
    match refused {
        0 => Ok(()),
        _ => Err(Failed::code(&format!("{refused} nodes"), ErrorCode::NoAuth)),
    }
}

fn draw(shell: &Shell, words: &Words, branch: &Branch, stat: Option<&Stat>) {
    let Branch { path, name, indent, joint, depth } = branch;
    let stat_value = stat.map(json::stat);
    shell.out.value(&json!({ "path": path, "depth": depth, "stat": stat_value }));
    let about = match stat {
        None => "  (no permission to list it)".to_owned(),
        Some(stat) if words.has("s") => format!("  {}", summary(stat)),
        Some(_) => String::new(),
    };
    // The joint takes the place of the last step of the indent.
    let above = indent.len().saturating_sub(if joint.is_empty() { 0 } else { step(joint).len() });
    let above = indent.get(..above).unwrap_or_default();
    shell.out.text(format_args!("{above}{joint}{name}{about}"));
}

/// What goes on below a joint.
fn step(joint: &str) -> &'static str {
    match joint {
        "" => "",
        "├── " => "│   ",
        _ => "    ",
    }
}

/// The children, the first of them last, as a stack wants them.
fn branches(parent: &Branch, names: &[Box<str>]) -> Vec<Branch> {
    let branch = |place: usize, name: &str| {
        let joint = if place + 1 == names.len() { "└── " } else { "├── " };
        Branch {
            path: child(&parent.path, name),
            name: name.to_owned(),
            indent: format!("{}{}", parent.indent, step(joint)),
            joint,
            depth: parent.depth + 1,
        }
    };
    names.iter().enumerate().map(|(place, name)| branch(place, name)).rev().collect()
}

fn summary(stat: &Stat) -> String {
    let owner = match stat.ephemeral_owner {
        0 => String::new(),
        owner => format!(", ephemeral of 0x{owner:x}"),
    };
    format!("{} bytes, version {}{owner}", stat.data_length, stat.version)
}

/// What `find` looks for; what is `None` does not matter.
struct Wanted {
    name: Option<String>,
    larger: Option<i32>,
    children: Option<i32>,
    owner: Option<i64>,
    contains: Option<String>,
    ephemeral: bool,
}

impl Wanted {
    fn parse(words: &Words) -> Result<Wanted, Failed> {
        let owner = words.value("owner").map(|text| {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            let wrong = |_| Failed::usage(format!("-owner {text:?}: expected a session, 0x..."));
            u64::from_str_radix(digits, 16).map(u64::cast_signed).map_err(wrong)
        });
        Ok(Wanted {
            name: words.value("name").map(str::to_owned),
            larger: number(words, "larger", "bytes")?,
            children: number(words, "children", "a number")?,
            owner: owner.transpose()?,
            contains: words.value("contains").map(str::to_owned),
            ephemeral: words.has("ephemeral"),
        })
    }

    fn question(&self) -> Question {
        let of_stat = self.larger.is_some() || self.children.is_some() || self.owner.is_some();
        if self.contains.is_some() {
            Question::Data
        } else if of_stat || self.ephemeral {
            Question::Stat
        } else {
            Question::Nothing
        }
    }

    fn has_name(&self, path: &str) -> bool {
        let Some(pattern) = &self.name else { return true };
        let whole = pattern.contains('/');
        let name = if whole { path } else { path.rsplit('/').next().unwrap_or(path) };
        fits(pattern, name)
    }

    fn has_stat(&self, stat: &Stat) -> bool {
        self.larger.is_none_or(|bytes| stat.data_length > bytes)
            && self.children.is_none_or(|count| stat.num_children > count)
            && self.owner.is_none_or(|owner| stat.ephemeral_owner == owner)
            && (!self.ephemeral || stat.ephemeral_owner != 0)
    }

    fn has_data(&self, data: Option<&Data>) -> bool {
        let Some(text) = &self.contains else { return true };
        let (text, data) = (text.as_bytes(), data.map_or(&[][..], |data| data));
        text.is_empty() || data.windows(text.len()).any(|window| window == text)
    }
}

/// Whether a name fits a pattern, in which `*` stands for any letters and `?` for one.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on after the last star, with one more letter of the name given to it.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = name.get(place) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                place += 1;
            }
            Some(_) | None => {
                let Some((star_at, given)) = star else { return false };
                star = Some((star_at, given + 1));
                at = star_at + 1;
                place = given + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

/// What is known of a node that is looked at.
type Looked = Result<(Option<Data>, Option<Stat>), Error>;

/// What has to be asked about each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Nothing,
    Stat,
    Data,
}

async fn look(client: Client, path: String, question: Question) -> Looked {
    match question {
        Question::Nothing => Ok((None, None)),
        Question::Stat => client.exists(&path).await.map(|stat| (None, stat)),
        Question::Data => client.get_data(&path).await.map(|(data, stat)| (data, Some(stat))),
    }
}

pub(super) async fn find(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let wanted = Wanted::parse(words)?;
    let count_max = number(words, "n", "a count")?.unwrap_or(u64::MAX);
    let client = shell.client()?;
    let top = words.arg(0).unwrap_or("/");
    let mut below = Below::new(&client, top);
    let (mut found, mut refused) = (0_u64, 0_u64);
    let question = wanted.question();
    while let Some(step) = below.next().await? {
        let named = step.paths.into_iter().filter(|path| wanted.has_name(path)).collect();
        let looked = ask_all(named, |path| look(client.clone(), path, question)).await;
        for (path, looked) in looked {
            let (data, stat) = match looked {
                Ok(looked) => looked,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
                Err(error) if error.code() == Some(ErrorCode::NoAuth) => {
                    refused += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let gone = question == Question::Stat && stat.is_none();
            let fits = !gone && stat.as_ref().is_none_or(|stat| wanted.has_stat(stat));
            if !fits || !wanted.has_data(data.as_ref()) {
                continue;
            }
            shell.out.value(&json!({ "path": path, "stat": stat.as_ref().map(json::stat) }));
            shell.out.text(&path);
            found += 1;
            if found == count_max {
                return Ok(());
            }
        }
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failed::code(&format!("{refused} nodes"), ErrorCode::NoAuth)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "ab", false),
            ("*", "", true),
            ("lock-*", "lock-0000000001", true),
            ("*-*1", "lock-0000000001", true),
            ("*-*2", "lock-0000000001", false),
            ("?ock*", "lock", true),
            ("?", "", false),
            ("**b", "aab", true),
            ("ä?", "äö", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn branches_are_joined() {
        let root = Branch {
            path: "/".into(),
            name: "/".into(),
            indent: String::new(),
            joint: "",
            depth: 0,
        };
        let mut children = branches(&root, &["a".into(), "b".into()]);
        let (b, a) = (children.remove(0), children.remove(0));
        assert_eq!((b.joint, b.indent.as_str(), b.path.as_str()), ("└── ", "    ", "/b"));
        assert_eq!((a.joint, a.indent.as_str(), a.path.as_str()), ("├── ", "│   ", "/a"));
        let grandchild = branches(&a, &["c".into()]).remove(0);
        assert_eq!((grandchild.indent.as_str(), grandchild.depth), ("│       ", 2));
    }
}
