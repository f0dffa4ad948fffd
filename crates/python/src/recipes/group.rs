//! Groups: who is there.

use bellwether_client as core;
use bellwether_client::recipes as rust;
use pyo3::prelude::*;

use super::values::{Member, MemberChange};
use super::{At, Owned, lasting, let_go, over_and_done, pair, stream};
use crate::bridge::both;
use crate::errors::{At as _, Trouble};
use crate::values::Bytes;
use crate::watch::Closable;

/// The group at a path, and the client for what its members ask.
pub(crate) struct Place {
    group: rust::Group,
    client: core::Client,
}

/// A membership, its name, and the client that knows whether the session lives.
pub(crate) struct Belonging {
    owned: Owned<rust::Membership>,
    name: String,
    client: core::Client,
}

/// What happens in a group, one after the other.
pub(crate) struct Members(rust::GroupWatch);

impl Members {
    async fn next(&mut self) -> Result<MemberChange, Trouble> {
        Ok(self.0.next().await?.into())
    }
}

pair! {
    /// Who is there, since when, and what each says of itself. Members of kazoo's `Party` are
    /// members.
    ///
    /// client: whose session joins. path: the members are below it; it is made when it is missing.
    Group, AsyncGroup over At<Place>;

    /// Being a member. The end of a `with` block leaves; one that is dropped leaves in the
    /// background.
    Membership, AsyncMembership over Belonging;

    /// Who joins and leaves: an iterator of MemberChange, those that are there first, as joined.
    /// It ends when it or the client is closed.
    GroupWatch, AsyncGroupWatch over Closable<Members>;
}

both! {
    impl Group, AsyncGroup for At<Place>;

    new {
        fn new(client, path) {
            place(client, path)
        }
    }

    both {
        /// Joins with these words and gives a Membership, which lasts until it is left, or the
        /// session ends.
        ///
        /// Raises NoAuthError, SessionExpiredError.
        #[signature (data=Bytes(Vec::new())) shown "($self, data=b\"\")"]
        enter fn join(at, data: Bytes) {
            let membership = at.recipe.group.join(&data.0).await.at(&at.path)?;
            let name = membership.name().to_owned();
            let client = at.recipe.client.clone();
            Ok(Belonging { owned: Owned::new(membership), name, client })
        }

        /// The members, in the order of joining.
        brief fn members(at) {
            let members = at.recipe.group.members().await.at(&at.path)?;
            Ok(members.into_iter().map(Member::from).collect::<Vec<_>>())
        }

        /// Follows who joins and leaves.
        enter fn watch(at) {
            Ok(Closable::new(Members(at.recipe.group.watch().await.at(&at.path)?)))
        }
    }
    each {}
    sync {}
    asyncio {}
}

fn place(client: &core::Client, path: &str) -> Result<Place, Trouble> {
    Ok(Place { group: rust::Group::new(client, path), client: client.clone() })
}

lasting! {
    impl Membership, AsyncMembership for Belonging, until leave;

    both {
        /// Says something else of itself.
        ///
        /// Raises NoNodeError (somebody has deleted the member), ClosedError (it has left).
        brief fn update(member, data: Bytes) {
            let said = member.owned.change(async |inner| inner.update(&data.0).await).await;
            Ok(said.ok_or_else(over_and_done)??)
        }

        /// Leaves, and waits until it has; without a connection, until there is one or the session
        /// is over. To leave twice is no error.
        brief fn leave(member) {
            match member.owned.end().await {
                Some(inner) => let_go(inner.leave().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// The name of the member's node.
        #[getter]
        fn name(&self) -> PyResult<String> {
            Ok(self.0.held.get()?.name.clone())
        }

        /// Whether the group certainly counts this member at this moment, if nobody has deleted it.
        #[getter]
        fn is_certain(&self) -> PyResult<bool> {
            let member = self.0.held.get()?;
            Ok(!member.owned.is_over() && member.client.is_certain())
        }
    }
    sync {}
    asyncio {}
}

stream! {
    impl GroupWatch, AsyncGroupWatch for Members;
    /// Waits for the next MemberChange. timeout: at most so many seconds.
    ///
    /// Raises TimeoutError, ClosedError, SessionExpiredError.
    next;
}
