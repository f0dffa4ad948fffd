//! Ballots.

use bellwether_client::recipes as rust;

use super::values::{Cast, Outcome, Proposal, Tally, vote_of};
use super::{At, pair};
use crate::bridge::both;
use crate::errors::At as _;
use crate::values::Maybe;
use crate::watch::within;

pair! {
    /// A proposal that so many electors vote on, accepted by more than half of them before a
    /// deadline.
    ///
    /// client: whose session votes. path: the node that holds it, made by `propose`.
    Ballot, AsyncBallot over At<rust::Ballot>;
}

both! {
    impl Ballot, AsyncBallot for At<rust::Ballot>;

    new {
        fn new(client, path) {
            Ok(rust::Ballot::new(client, path))
        }
    }

    both {
        /// Opens the ballot.
        ///
        /// Raises NodeExistsError (there is one at this path), BadArgumentsError.
        brief fn propose(ballot, proposal: Proposal) {
            ballot.recipe.propose(&proposal.to_core()?).await.at(&ballot.path)
        }

        /// What is voted on.
        ///
        /// Raises NoNodeError, BadArgumentsError (what is stored is no ballot).
        brief fn proposal(ballot) {
            Ok(Proposal::from(ballot.recipe.proposal().await.at(&ballot.path)?))
        }

        /// Votes as this elector, "yes" or "no", and gives a Cast. Each elector has one vote,
        /// whichever process or session casts it: one that is repeated counts once.
        ///
        /// Raises NoNodeError, BadArgumentsError.
        brief fn vote(ballot, elector: String, vote: String) {
            let cast = ballot.recipe.vote(&elector, vote_of(&vote)?).await.at(&ballot.path)?;
            Ok(Cast::from(cast))
        }

        /// The votes so far.
        ///
        /// Raises NoNodeError.
        brief fn tally(ballot) {
            Ok(Tally::from(ballot.recipe.tally().await.at(&ballot.path)?))
        }

        /// How it ended; None if it has not.
        ///
        /// Raises NoNodeError.
        brief fn outcome(ballot) {
            Ok(Maybe(ballot.recipe.outcome().await.at(&ballot.path)?.map(Outcome::from)))
        }

        /// Waits for the end and gives the Outcome. Whoever waits when the deadline passes closes
        /// the ballot. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, NoNodeError.
        #[signature (timeout=None)]
        long fn result(ballot, timeout: Option<f64>) {
            within(timeout, async {
                Ok(Outcome::from(ballot.recipe.result().await.at(&ballot.path)?))
            }).await
        }
    }
    each {}
    sync {}
    asyncio {}
}
