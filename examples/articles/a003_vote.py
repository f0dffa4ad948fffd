"""Article 003: a vote under `/node/vote`.

Wanted: `/node/vote/result/{yes,no}`, so that more than n/2 votes decide.
Wrong: all nodes are ephemeral, and an ephemeral node has no children; `yes` and `no` are created
twice; nobody is counted; a vote that vanishes with its voter is no vote.
Differs: the recipe `Ballot` at `/node/vote`: a node for each elector, a tally that is set in the
same transaction, and a result that is written once, by the vote that decides or at the deadline.
"""

from bellwether import NoChildrenForEphemeralsError
from bellwether.articles import ACL_PERMISSIONS, ZooDefs, ZooKeeper
from bellwether.recipes import Ballot, Proposal

zk = ZooKeeper(None, 3000, None)
zk.start()

# What the article does, and why it cannot work.
zk.create('/node', b'', ZooDefs.Id.ephemeral, ACL_PERMISSIONS)
try:
    zk.create('/node/vote', b'', ZooDefs.Id.ephemeral, ACL_PERMISSIONS)
except NoChildrenForEphemeralsError as why:
    print(why)
else:
    raise AssertionError("an ephemeral node has a child")
zk.delete('/node')


def vote(zk: ZooKeeper, node: str) -> str:
    ballot = Ballot(zk.client, node + '/vote')
    ballot.propose(Proposal("shall we fail over?", 3, 60.0))
    ballot.vote("server-1", "yes")
    ballot.vote("server-2", "no")
    ballot.vote("server-3", "yes")
    outcome = ballot.result(timeout=30)
    print(outcome)
    return outcome.verdict


assert vote(zk, '/node') == "accepted"
zk.client.delete('/node', recursive=True)
zk.close()
