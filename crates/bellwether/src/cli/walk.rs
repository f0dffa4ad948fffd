//! Everything below a node, in zkCli's order: the children of a node together and sorted, then
//! what is below each of them. A node that is deleted meanwhile is left out with what was below it.

use super::failure::Failed;
use bellwether_client::{Client, ErrorCode, OneshotWatcher};

/// Questions that are under way at a time.
const QUESTIONS_MAX: usize = 32;

/// Asks something about each of some paths, several at a time; the answers are in their order.
pub(super) async fn ask_all<T, F>(paths: Vec<String>, ask: impl Fn(String) -> F) -> Vec<(String, T)>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut answers = Vec::with_capacity(paths.len());
    for some in paths.chunks(QUESTIONS_MAX) {
        let tasks: Vec<_> = some.iter().map(|path| tokio::spawn(ask(path.clone()))).collect();
        for (path, task) in some.iter().zip(tasks) {
            let answer = task.await.expect("a question neither panics nor is it cancelled");
            answers.push((path.clone(), answer));
        }
    }
    answers
}

/// A walk that has not ended.
pub(super) struct Below<'a> {
    client: &'a Client,
    /// The next one last.
    waiting: Vec<String>,
    is_top: bool,
    watching: bool,
}

/// What one question to the server brought.
pub(super) struct Step {
    /// The node whose children these are; the first step has it as its first path, too.
    pub(super) parent: String,
    pub(super) paths: Vec<String>,
    pub(super) watcher: Option<(String, OneshotWatcher)>,
}

/// The path of a child.
pub(super) fn child(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

impl<'a> Below<'a> {
    pub(super) fn new(client: &'a Client, top: &str) -> Below<'a> {
        Below { client, waiting: vec![top.to_owned()], is_top: true, watching: false }
    }

    /// With a watch on the children of every node.
    pub(super) fn watching(mut self) -> Below<'a> {
        self.watching = true;
        self
    }

    /// Leaves out what is below a path of the last step.
    pub(super) fn skip(&mut self, path: &str) {
        self.waiting.retain(|waiting| waiting != path);
    }

    /// The next paths; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Step>, Failed> {
        while let Some(parent) = self.waiting.pop() {
            let children = if self.watching {
                let children = self.client.get_children_and_watch(&parent).await;
                children.map(|(names, _, watcher)| (names, Some((parent.clone(), watcher))))
            } else {
                self.client.get_children(&parent).await.map(|names| (names, None))
            };
            let (mut names, watcher) = match children {
                Ok(children) => children,
                Err(error) if !self.is_top && error.code() == Some(ErrorCode::NoNode) => continue,
                Err(error) => return Err(error.into()),
            };
            names.sort();
            let below: Vec<String> = names.iter().map(|name| child(&parent, name)).collect();
            let mut paths = Vec::new();
            if std::mem::take(&mut self.is_top) {
                paths.push(parent.clone());
            }
            paths.extend(below.iter().cloned());
            self.waiting.extend(below.into_iter().rev());
            return Ok(Some(Step { parent, paths, watcher }));
        }
        Ok(None)
    }
}
