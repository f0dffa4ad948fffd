//! A client that allows it, of a server that only reads: it reads, it is refused a write, and it
//! moves to a server that writes as soon as there is one.
//!
//! `MEMBERS` is printed when the server was read from. Whoever reads it starts the other members,
//! which may leave the first one alone (`stays`) or take it in (`joins`), and answers with a line.

use super::{Checked, answered, equal, holds, say};
use bellwether_client::{
    Access, Client, Connector, Create, CreateMode, ErrorCode, Fate, Resumed, SessionEvent,
    SessionEvents, SessionState,
};

pub(super) async fn run(address: &str, first: &str) -> Checked {
    let stays = match first {
        "stays" => true,
        "joins" => false,
        other => return Err(format!("the first member {other}: it stays or joins").into()),
    };
    let connector = Connector::new().access(Access::ReadOnlyAllowed);
    let client = connector.connect(address).await?;
    let mut events = client.session_events();
    equal("the state", client.state(), SessionState::ConnectedReadOnly)?;
    let reader = client.peer().ok_or("it is connected with nobody")?;
    let names = client.get_children("/").await?;
    holds("it reads", names.iter().any(|name| **name == *"zookeeper"))?;
    let refused = client.create(written()).await.err().ok_or("it was written")?;
    equal(
        "why",
        (refused.code(), refused.fate()),
        (Some(ErrorCode::NotReadOnly), Fate::DidNotHappen),
    )?;
    holds("it is still there", client.exists("/zookeeper").await?.is_some())?;
    say("MEMBERS");
    answered("the members are started").await?;
    let (reason, writer) = moved(&mut events).await?;
    if stays {
        equal("why it went", &*reason, &*format!("moving to {writer}, which writes"))?;
        holds("it went elsewhere", writer != reader.server.to_string())?;
    }
    writes(&client).await?;
    say(&format!("ok   read from {}, moved to {writer}: {reason}", reader.server));
    client.close().await;
    Ok(())
}

fn written() -> Create {
    Create::new("/written", CreateMode::Persistent)
}

/// Why it left the server that reads, and which one that writes has it. What was read from is no
/// session that others know, so that is a new one.
async fn moved(events: &mut SessionEvents) -> Result<(Box<str>, String), super::Failed> {
    let mut left = None;
    loop {
        match events.next().await.ok_or("nobody tells any more")? {
            SessionEvent::Disconnected { reason } => left = left.or(Some(reason)),
            SessionEvent::AttemptFailed { .. } => {} // There will be another.
            SessionEvent::Connected { access: Access::ReadOnlyAllowed, .. } => {}
            SessionEvent::Connected { server, resumed, .. } => {
                equal("whether it goes on", resumed, Resumed::No)?;
                return Ok((left.ok_or("it never left")?, server.to_string()));
            }
            SessionEvent::Ended(end) => return Err(end.to_string().into()),
        }
    }
}

async fn writes(client: &Client) -> Checked {
    equal("the state at last", client.state(), SessionState::Connected)?;
    client.retrying().create(written().data(b"at last")).await?;
    let (data, _) = client.retrying().get_data("/written").await?;
    equal("what is written", data.as_deref(), Some(b"at last".as_slice()))
}
