//! Rows: several servers that act as one.

use super::super::kinds::Kind::{Choice, Path, Text};
use super::super::setting::Harmless::{False, Never};
use super::super::setting::Place::{Both, BothAnd, File, FileAnd, Java};
use super::super::setting::Setting;
use super::super::setting::Status::{Honoured, Refused, WithoutEffect};
use super::{FLAG, INT, INT_DECODED, LONG_DECODED, STRICT, int, setting_rows};

const NEEDLESS: super::super::setting::Status =
    WithoutEffect("it tunes threads and pauses of Apache's members that this server does not have");
const SASL: super::super::setting::Status =
    WithoutEffect("it belongs to quorum.auth.enableSasl, which is refused");
const MULTI: super::super::setting::Status =
    WithoutEffect("a server has one address here; a server line with several is refused");

pub(super) const ROWS: &[Setting] = setting_rows! { Ensemble
    ["server.N", File, Text, "", "", "3.0.0", Honoured,
     "A member of the ensemble: host:port:port[:participant|observer][;[host:]clientPort]; the \
      file myid holds the number of this server's line. A single participant's line, with \
      standaloneEnabled, is no ensemble: its clientPort counts where the file myid holds N, and \
      the rest is ignored."]
    ["group.N", File, Text, "", "", "3.2.0", Honoured,
     "The servers of a group, with colons between them; a majority of groups decides."]
    ["weight.N", File, Text, "", "", "3.2.0", Honoured,
     "How many votes a server has within its group; with 0 it never leads."]
    ["dynamicConfigFile", File, Path, "", "", "3.5.0", Honoured,
     "The file with the server, group and weight lines, which zoo.cfg must not have then. It is \
      read and never written."]
    ["oraclePath", File, Path, "", "", "3.8.0",
     Refused("an oracle does not exist in this version. Remove the line, and run three servers",
             Never),
     "A file that breaks the tie between two servers."]
    ["standaloneEnabled", File, STRICT, "true", "", "3.5.0", Honoured,
     "Whether a server may run alone. False needs at least one server line."]
    ["reconfigEnabled", File, STRICT, "false", "", "3.5.3", Honoured,
     "Whether clients may ask for other members. A single server answers such a request with \
      RECONFIGDISABLED or, if true, with UNIMPLEMENTED; so does a member of an ensemble, whose \
      configuration is that of its files."]
    ["initLimit", File, INT, "0", "ticks", "3.0.0", Honoured,
     "How long a follower may take to connect and catch up."]
    ["syncLimit", File, INT, "0", "ticks", "3.0.0", Honoured,
     "How long a follower may be silent."]
    ["connectToLearnerMasterLimit", File, INT, "0", "ticks", "3.6.0", Honoured,
     "How long a follower may take to connect to the leader; 0 stands for initLimit."]
    ["electionAlg", File, int(3, 3), "3", "", "3.0.0", Honoured,
     "The election's algorithm; only one is left."]
    ["peerType", File, Choice(&["participant", "observer"]), "participant", "", "3.3.0", Honoured,
     "Whether the server votes."]
    ["quorumListenOnAllIPs", File, STRICT, "false", "", "3.4.6", Honoured,
     "Whether the ports for other servers are open on all addresses."]
    ["observerMasterPort", File, INT, "0", "", "3.6.0",
     WithoutEffect("a member of an ensemble is refused with it: observers connect to the leader"),
     "The port on which a follower serves observers."]
    ["observerMaster.sizeLimit", Both, INT_DECODED, "33554432", "bytes", "3.6.0", NEEDLESS,
     "How much a follower keeps for observers that were away."]
    ["syncEnabled", FileAnd("zookeeper.observer.syncEnabled"), STRICT, "true", "", "3.4.6",
     WithoutEffect("an observer always writes its log and snapshots, which false would spare it"),
     "Whether observers write a log and snapshots."]
    ["observer.election.DelayMs", Both, LONG_DECODED, "200", "ms", "3.6.0", Honoured,
     "How long an observer waits before it takes part in an election."]
    ["observer.reconnectDelayMs", Both, LONG_DECODED, "0", "ms", "3.6.0", NEEDLESS,
     "How long an observer waits before it looks for a leader again."]
    ["leaderServes", Both, super::super::kinds::Kind::Flag(
        super::super::kinds::Reading::NoOrElseYes), "yes", "", "3.0.0", Honoured,
     "Whether the leader serves clients."]
    ["cnxTimeout", Both, INT_DECODED, "5000", "ms", "3.3.2", Honoured,
     "How long a connection to another server's election port may take."]
    ["quorumCnxnTimeoutMs", Both, INT_DECODED, "-1", "ms", "3.6.0", NEEDLESS,
     "How long an election connection may be silent; -1 stands for syncLimit."]
    ["electionPortBindRetry", Both, INT_DECODED, "3", "", "3.5.6", Honoured,
     "How often opening the election port is tried."]
    ["tcpKeepAlive", Both, FLAG, "false", "", "3.4.11", Honoured,
     "Whether TCP probes connections between servers that are silent."]
    ["fastleader.minNotificationInterval", Both, INT_DECODED, "200", "ms", "3.6.0", Honoured,
     "The shortest pause between two rounds of election messages."]
    ["fastleader.maxNotificationInterval", Both, INT_DECODED, "60000", "ms", "3.6.0", Honoured,
     "The longest pause between two rounds of election messages."]
    ["leader.ackLoggingFrequency", Both, INT_DECODED, "1000", "", "3.6.0", NEEDLESS,
     "How often the time of an acknowledgement is logged."]
    ["leader.maxTimeToWaitForEpoch", Both, INT_DECODED, "-1", "ms", "3.6.0", NEEDLESS,
     "How long an elected server waits for its followers."]
    ["leader.maxConcurrentSnapSyncs", Both, INT_DECODED, "10", "", "3.6.0", Honoured,
     "How many followers are sent a snapshot at a time."]
    ["leader.maxConcurrentDiffSyncs", Both, INT_DECODED, "100", "", "3.6.0", Honoured,
     "How many followers are sent a part of the log at a time."]
    ["leader.closeSocketAsync", BothAnd("leader.closeSocketAsync"), FLAG, "false", "", "3.7.0",
     NEEDLESS, "Whether the leader closes connections without waiting."]
    ["learner.closeSocketAsync", BothAnd("learner.closeSocketAsync"), FLAG, "false", "", "3.7.0",
     NEEDLESS, "Whether a follower closes its connection without waiting."]
    ["learner.asyncSending", BothAnd("learner.asyncSending"), FLAG, "false", "", "3.6.3", NEEDLESS,
     "Whether a follower queues what it sends to the leader."]
    ["leader.nodelay", Java, FLAG, "true", "", "3.2.0", NEEDLESS,
     "Whether the leader switches Nagle's algorithm off."]
    ["follower.nodelay", Java, FLAG, "true", "", "3.2.0", NEEDLESS,
     "Whether a follower switches Nagle's algorithm off."]
    ["leaderConnectDelayDuringRetryMs", Both, INT_DECODED, "100", "ms", "3.6.0", NEEDLESS,
     "The pause before a follower tries to reach the leader again."]
    ["follower.skipLearnerRequestToNextProcessor", Both, FLAG, "false", "", "3.7.0", NEEDLESS,
     "Whether a follower leaves observers' requests out of its own queue."]
    ["forward_learner_requests_to_commit_processor_disabled", Both, FLAG, "false", "", "3.7.0",
     NEEDLESS, "Whether the leader leaves followers' requests out of its own queue."]
    ["forceSnapshotSync", Both, FLAG, "false", "", "3.5.0", NEEDLESS,
     "For tests: whether followers are always sent a snapshot."]
    ["multiAddress.enabled", Both, STRICT, "false", "", "3.6.0", MULTI,
     "Whether a server line may name several addresses."]
    ["multiAddress.reachabilityCheckEnabled", Both, STRICT, "true", "", "3.6.0", MULTI,
     "Whether addresses are probed before they are used."]
    ["multiAddress.reachabilityCheckTimeoutMs", Both, INT, "1000", "ms", "3.6.0", MULTI,
     "How long such a probe may take."]
    ["quorum.cnxn.threads.size", File, INT, "20", "threads", "3.4.10", SASL,
     "How many threads authenticate other servers."]
    ["quorum.auth.enableSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version. Remove the line if the servers' network is trusted",
             False),
     "Whether servers authenticate to each other by SASL."]
    ["quorum.auth.serverRequireSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version. Remove the line if the servers' network is trusted",
             False),
     "Whether servers that do not authenticate are turned away."]
    ["quorum.auth.learnerRequireSasl", File, STRICT, "false", "", "3.4.10",
     Refused("SASL does not exist in this version. Remove the line if the servers' network is trusted",
             False),
     "Whether a follower authenticates itself."]
    ["quorum.auth.server.saslLoginContext", File, Text, "QuorumServer", "", "3.4.10", SASL,
     "The section of the JAAS file for taking connections."]
    ["quorum.auth.learner.saslLoginContext", File, Text, "QuorumLearner", "", "3.4.10", SASL,
     "The section of the JAAS file for making connections."]
    ["quorum.auth.kerberos.servicePrincipal", File, Text, "zkquorum/localhost", "", "3.4.10", SASL,
     "The Kerberos name of the ensemble's servers."]
};
