//! Rows: several servers that act as one.

use super::super::kinds::Kind::{Choice, Path, Text};
use super::super::setting::Harmless::{False, Never};
use super::super::setting::Place::{Both, BothAnd, File, FileAnd, Java};
use super::super::setting::Setting;
use super::super::setting::Status::{Honoured, Refused, WithoutEffect};
use super::{FLAG, INT, INT_DECODED, LONG_DECODED, STRICT, int, setting_rows};

const ALONE: super::super::setting::Status =
    WithoutEffect("a single server has no other server to wait for or to talk to");

pub(super) const ROWS: &[Setting] = setting_rows! { Ensemble
    ["server.N", File, Text, "", "", "3.0.0",
     Refused("ensembles do not exist in this version. For a single server remove the line; one \
              participant's line alone is taken where standaloneEnabled is true, as Apache takes \
              it", Never),
     "A member of the ensemble: host:port:port[:participant|observer][;[host:]clientPort]. A \
      single participant's line, with standaloneEnabled, is no ensemble: its clientPort counts \
      where the file myid holds N, and the rest is ignored."]
    ["group.N", File, Text, "", "", "3.2.0",
     Refused("ensembles do not exist in this version. Remove the line", Never),
     "The servers of a group; a majority of groups decides."]
    ["weight.N", File, Text, "", "", "3.2.0",
     Refused("ensembles do not exist in this version. Remove the line", Never),
     "How many votes a server has within its group."]
    ["dynamicConfigFile", File, Path, "", "", "3.5.0",
     Refused("ensembles do not exist in this version. For a single server remove the line", Never),
     "The file with the server lines."]
    ["oraclePath", File, Path, "", "", "3.8.0",
     Refused("ensembles do not exist in this version. Remove the line", Never),
     "A file that breaks the tie between two servers."]
    ["standaloneEnabled", File, STRICT, "true", "", "3.5.0", Honoured,
     "Whether a server may run alone. False needs at least one server line."]
    ["reconfigEnabled", File, STRICT, "false", "", "3.5.3", Honoured,
     "Whether clients may ask for other members. A single server answers such a request with \
      RECONFIGDISABLED or, if true, with UNIMPLEMENTED."]
    ["initLimit", File, INT, "0", "ticks", "3.0.0", ALONE,
     "How long a follower may take to connect and catch up."]
    ["syncLimit", File, INT, "0", "ticks", "3.0.0", ALONE,
     "How long a follower may be silent."]
    ["connectToLearnerMasterLimit", File, INT, "0", "ticks", "3.6.0", ALONE,
     "How long a follower may take to connect to the leader."]
    ["electionAlg", File, int(3, 3), "3", "", "3.0.0", ALONE,
     "The election's algorithm; only one is left."]
    ["peerType", File, Choice(&["participant", "observer"]), "participant", "", "3.3.0", ALONE,
     "Whether the server votes."]
    ["quorumListenOnAllIPs", File, STRICT, "false", "", "3.4.6", ALONE,
     "Whether the ports for other servers are open on all addresses."]
    ["observerMasterPort", File, INT, "0", "", "3.6.0", ALONE,
     "The port on which a follower serves observers."]
    ["observerMaster.sizeLimit", Both, INT_DECODED, "33554432", "bytes", "3.6.0", ALONE,
     "How much a follower keeps for observers that were away."]
    ["syncEnabled", FileAnd("zookeeper.observer.syncEnabled"), STRICT, "true", "", "3.4.6", ALONE,
     "Whether observers write a log and snapshots."]
    ["observer.election.DelayMs", Both, LONG_DECODED, "200", "ms", "3.6.0", ALONE,
     "How long an observer waits before it takes part in an election."]
    ["observer.reconnectDelayMs", Both, LONG_DECODED, "0", "ms", "3.6.0", ALONE,
     "How long an observer waits before it looks for a leader again."]
    ["leaderServes", Both, super::super::kinds::Kind::Flag(
        super::super::kinds::Reading::NoOrElseYes), "yes", "", "3.0.0", ALONE,
     "Whether the leader serves clients."]
    ["cnxTimeout", Both, INT_DECODED, "5000", "ms", "3.3.2", ALONE,
     "How long a connection to another server's election port may take."]
    ["quorumCnxnTimeoutMs", Both, INT_DECODED, "-1", "ms", "3.6.0", ALONE,
     "How long an election connection may be silent; -1 stands for syncLimit."]
    ["electionPortBindRetry", Both, INT_DECODED, "3", "", "3.5.6", ALONE,
     "How often opening the election port is tried."]
    ["tcpKeepAlive", Both, FLAG, "false", "", "3.4.11", ALONE,
     "Whether TCP probes connections between servers that are silent."]
    ["fastleader.minNotificationInterval", Both, INT_DECODED, "200", "ms", "3.6.0", ALONE,
     "The shortest pause between two rounds of election messages."]
    ["fastleader.maxNotificationInterval", Both, INT_DECODED, "60000", "ms", "3.6.0", ALONE,
     "The longest pause between two rounds of election messages."]
    ["leader.ackLoggingFrequency", Both, INT_DECODED, "1000", "", "3.6.0", ALONE,
     "How often the time of an acknowledgement is logged."]
    ["leader.maxTimeToWaitForEpoch", Both, INT_DECODED, "-1", "ms", "3.6.0", ALONE,
     "How long an elected server waits for its followers."]
    ["leader.maxConcurrentSnapSyncs", Both, INT_DECODED, "10", "", "3.6.0", ALONE,
     "How many followers are sent a snapshot at a time."]
    ["leader.maxConcurrentDiffSyncs", Both, INT_DECODED, "100", "", "3.6.0", ALONE,
     "How many followers are sent a part of the log at a time."]
    ["leader.closeSocketAsync", BothAnd("leader.closeSocketAsync"), FLAG, "false", "", "3.7.0",
     ALONE, "Whether the leader closes connections without waiting."]
    ["learner.closeSocketAsync", BothAnd("learner.closeSocketAsync"), FLAG, "false", "", "3.7.0",
     ALONE, "Whether a follower closes its connection without waiting."]
    ["learner.asyncSending", BothAnd("learner.asyncSending"), FLAG, "false", "", "3.6.3", ALONE,
     "Whether a follower queues what it sends to the leader."]
    ["leader.nodelay", Java, FLAG, "true", "", "3.2.0", ALONE,
     "Whether the leader switches Nagle's algorithm off."]
    ["follower.nodelay", Java, FLAG, "true", "", "3.2.0", ALONE,
     "Whether a follower switches Nagle's algorithm off."]
    ["leaderConnectDelayDuringRetryMs", Both, INT_DECODED, "100", "ms", "3.6.0", ALONE,
     "The pause before a follower tries to reach the leader again."]
    ["follower.skipLearnerRequestToNextProcessor", Both, FLAG, "false", "", "3.7.0", ALONE,
     "Whether a follower leaves observers' requests out of its own queue."]
    ["forward_learner_requests_to_commit_processor_disabled", Both, FLAG, "false", "", "3.7.0",
     ALONE, "Whether the leader leaves followers' requests out of its own queue."]
    ["forceSnapshotSync", Both, FLAG, "false", "", "3.5.0", ALONE,
     "For tests: whether followers are always sent a snapshot."]
    ["multiAddress.enabled", Both, STRICT, "false", "", "3.6.0", ALONE,
     "Whether a server line may name several addresses."]
    ["multiAddress.reachabilityCheckEnabled", Both, STRICT, "true", "", "3.6.0", ALONE,
     "Whether addresses are probed before they are used."]
    ["multiAddress.reachabilityCheckTimeoutMs", Both, INT, "1000", "ms", "3.6.0", ALONE,
     "How long such a probe may take."]
    ["quorum.cnxn.threads.size", File, INT, "20", "threads", "3.4.10", ALONE,
     "How many threads authenticate other servers."]
    ["quorum.auth.enableSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version, and neither do ensembles. Remove the line",
             False),
     "Whether servers authenticate to each other by SASL."]
    ["quorum.auth.serverRequireSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version, and neither do ensembles. Remove the line",
             False),
     "Whether servers that do not authenticate are turned away."]
    ["quorum.auth.learnerRequireSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version, and neither do ensembles. Remove the line",
             False),
     "Whether a follower authenticates itself."]
    ["quorum.auth.server.saslLoginContext", File, Text, "QuorumServer", "", "3.4.10", ALONE,
     "The section of the JAAS file for taking connections."]
    ["quorum.auth.learner.saslLoginContext", File, Text, "QuorumLearner", "", "3.4.10", ALONE,
     "The section of the JAAS file for making connections."]
    ["quorum.auth.kerberos.servicePrincipal", File, Text, "zkquorum/localhost", "", "3.4.10", ALONE,
     "The Kerberos name of the ensemble's servers."]
};
