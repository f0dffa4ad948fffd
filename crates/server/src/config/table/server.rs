//! Rows: the server, its sessions, its limits.

use super::super::kinds::Kind::{Address, Choice, Path, Real, Text};
use super::super::setting::Place::{Both, File, Java};
use super::super::setting::Setting;
use super::super::setting::Status::{Honoured, WithoutEffect};
use super::{
    FLAG, INT, INT_DECODED, INT_MAX, LONG_DECODED, PORT, STRICT, decoded, int, setting_rows,
};

pub(super) const ROWS: &[Setting] = setting_rows! { Server
    ["dataDir", File, Path, "", "", "3.0.0", Honoured,
     "The directory of the snapshots, and of the log unless dataLogDir is set. The files lie in \
      its subdirectory version-2. A server started without a zoo.cfg keeps its data under the \
      user's data directory."]
    ["dataLogDir", File, Path, "", "", "3.0.0", Honoured,
     "The directory of the transaction log, dataDir if unset. A disk of its own keeps the log's \
      syncs apart from everything else."]
    ["clientPort", File, PORT, "", "", "3.0.0", Honoured,
     "The TCP port for clients; 0 lets the system choose one. It may also stand behind the \
      semicolon of a single server.N line."]
    ["clientPortAddress", File, Address, "", "", "3.3.0", Honoured,
     "The one address to listen on for clients. Unset, all addresses of the machine."]
    ["clientPortListenBacklog", File, INT, "-1", "connections", "3.6.0", Honoured,
     "How many connections may wait to be accepted; below 1, 4096 (Java: 50)."]
    ["tickTime", File, int(1, INT_MAX), "3000", "ms", "3.0.0", Honoured,
     "The unit of time for session expiry, and of the limits that count ticks."]
    ["minSessionTimeout", File, int(-1, INT_MAX), "-1", "ms", "3.3.0", Honoured,
     "The shortest session timeout a client gets; -1 stands for 2 ticks."]
    ["maxSessionTimeout", File, int(-1, INT_MAX), "-1", "ms", "3.3.0", Honoured,
     "The longest session timeout a client gets; -1 stands for 20 ticks."]
    ["localSessionsEnabled", File, STRICT, "false", "", "3.5.0",
     WithoutEffect("every session is a global one, as on Apache's standalone server"),
     "Sessions that exist on one server of an ensemble only."]
    ["localSessionsUpgradingEnabled", File, STRICT, "false", "", "3.5.0",
     WithoutEffect("every session is a global one, as on Apache's standalone server"),
     "Whether a local session becomes a global one when it creates an ephemeral node."]
    ["readonlymode.enabled", Java, FLAG, "false", "", "3.4.0", Honoured,
     "Whether a server that lost its ensemble serves reads. On a single server it only adds `isro` \
      to the four-letter words that are answered, as on Apache."]
    ["4lw.commands.whitelist", Both, Text, "srvr", "", "3.4.10", Honoured,
     "The four-letter words that are answered, separated by commas; `*` is all of them. `srvr` is \
      always answered."]
    ["extendedTypesEnabled", Both, FLAG, "false", "", "3.5.4", Honoured,
     "Whether nodes with a time to live can be created."]
    ["emulate353TTLNodes", Both, FLAG, "false", "", "3.5.4", Honoured,
     "Whether time-to-live nodes that version 3.5.3 wrote are understood."]
    ["znode.container.checkIntervalMs", Java, decoded(1, INT_MAX), "60000", "ms", "3.5.1", Honoured,
     "How often empty containers and nodes whose time to live ended are looked for."]
    ["znode.container.maxPerMinute", Java, decoded(1, INT_MAX), "10000", "nodes/min", "3.5.1",
     Honoured, "How many of them are deleted in a minute at most."]
    ["znode.container.maxNeverUsedIntervalMs", Java, LONG_DECODED, "0", "ms", "3.6.0", Honoured,
     "How long a container that never had a child is kept; 0 keeps it."]
    ["enableEagerACLCheck", Both, FLAG, "false", "", "3.6.0",
     WithoutEffect("only servers of an ensemble look at it, in Apache too"),
     "Whether a server checks access before it forwards a write to the leader."]
    ["serverCnxnFactory", Both,
     Choice(&["org.apache.zookeeper.server.NIOServerCnxnFactory",
              "org.apache.zookeeper.server.NettyServerCnxnFactory"]),
     "org.apache.zookeeper.server.NIOServerCnxnFactory", "", "3.4.0",
     WithoutEffect("it chooses between two Java libraries for network IO"),
     "The class that serves Apache's connections."]
    ["clientTcpKeepAlive", Both, FLAG, "false", "", "3.7.0", Honoured,
     "Whether TCP probes client connections that are silent."]
    ["testingonly.initialZxid", Both, int(0, i64::MAX), "", "zxid", "3.3.5",
     WithoutEffect("only the leader of an ensemble reads it, on Apache too"),
     "For tests: the counter from which a new leader counts transactions."]
};

pub(super) const LIMITS: &[Setting] = setting_rows! { Limits
    ["jute.maxbuffer", Java, decoded(1, INT_MAX), "0xfffff", "bytes", "3.0.0", Honoured,
     "The largest request and the largest node's data. All servers and clients should agree. A \
     longer request is answered with MARSHALLINGERROR."]
    ["jute.maxbuffer.extrasize", Both, decoded(0, INT_MAX), "", "bytes", "3.5.7", Honoured,
     "How much larger than jute.maxbuffer a record read from the log or a snapshot may be, since \
      it carries more than the request did; the same again if unset."]
    ["globalOutstandingLimit", Both, decoded(0, INT_MAX), "1000", "requests", "3.0.0", Honoured,
     "How many requests may wait in the server before it stops reading from connections that \
      already have one waiting."]
    ["maxClientCnxns", File, INT, "60", "connections", "3.2.0", Honoured,
     "Connections from one address; further ones are closed. 0 removes the limit."]
    ["maxCnxns", Both, decoded(0, INT_MAX), "0", "connections", "3.6.0", Honoured,
     "Connections from all addresses together; further ones are closed. 0 removes the limit."]
    ["nio.sessionlessCnxnTimeout", Both, decoded(1, INT_MAX), "10000", "ms", "3.5.0", Honoured,
     "How long a connection may be open without having asked for a session."]
    ["enforceQuota", Both, FLAG, "false", "", "3.7.0", Honoured,
     "Whether a write beyond a node's hard quota fails. Soft quotas are warned of either way."]
    ["request_throttle_max_requests", Both, INT_DECODED, "0", "requests", "3.6.0", Honoured,
     "How many requests may be in process before new ones wait in a line of their own; 0 and below \
      switch that off. globalOutstandingLimit stops reading instead, connection by connection."]
    ["request_throttle_stall_time", Both, decoded(0, INT_MAX), "100", "ms", "3.6.0", Honoured,
     "How long the first in the line waits before it is looked at again without a reply to another \
      request; 0 waits for a reply."]
    ["request_throttle_drop_stale", Both, FLAG, "true", "", "3.6.0", Honoured,
     "Whether stale requests in the line are dropped and their connections closed."]
    ["request_stale_connection_check", Both, FLAG, "true", "", "3.6.0", Honoured,
     "Whether a request in the line is stale when its connection is closed."]
    ["request_stale_latency_check", Both, FLAG, "false", "", "3.6.0", Honoured,
     "Whether a request in the line is stale when it waited longer than its session's timeout."]
    ["request_throttler.shutdownTimeout", Both, INT_DECODED, "10000", "ms", "3.6.0",
     WithoutEffect("a server that stops waits 1.5 s for what is in flight, the line included; it \
                    has to end within 2 s"),
     "How long the throttler's line may take to drain when the server stops."]
    ["throttled_op_wait_time", Both, INT_DECODED, "0", "ms", "3.7.0", Honoured,
     "After how long a wait in the line of request_throttle_max_requests a request is answered with \
      THROTTLEDOP in place of being served; 0 and below switch that off."]
    ["connection_throttle_tokens", Both, decoded(0, INT_MAX), "0", "tokens", "3.6.0", Honoured,
     "The size of the bucket of tokens that connect requests draw from; a connection that finds too \
      few is closed. 0 switches that off."]
    ["connection_throttle_fill_time", Both, decoded(1, INT_MAX), "1", "ms", "3.6.0", Honoured,
     "How often tokens are added to the bucket."]
    ["connection_throttle_fill_count", Both, decoded(0, INT_MAX), "1", "tokens", "3.6.0", Honoured,
     "How many tokens are added each time."]
    ["connection_throttle_freeze_time", Both, decoded(-1, INT_MAX), "-1", "ms", "3.6.0", Honoured,
     "How often the probability to drop a connection is adjusted; -1 drops none at random."]
    ["connection_throttle_drop_increase", Both, Real, "0.02", "", "3.6.0", Honoured,
     "By how much that probability grows when the bucket is empty."]
    ["connection_throttle_drop_decrease", Both, Real, "0.002", "", "3.6.0", Honoured,
     "By how much that probability shrinks when the bucket is full enough."]
    ["connection_throttle_decrease_ratio", Both, Real, "0", "", "3.6.0", Honoured,
     "Which part of the bucket's tokens may be missing for the probability to shrink."]
    ["connection_throttle_weight_enabled", Both, FLAG, "false", "", "3.6.0", Honoured,
     "Whether kinds of connections cost different numbers of tokens. Tokens and fill count then \
      count new sessions: they are multiplied by what one costs."]
    ["connection_throttle_global_session_weight", Both, INT_DECODED, "3", "tokens", "3.6.0",
     Honoured, "What a new session costs."]
    ["connection_throttle_local_session_weight", Both, INT_DECODED, "1", "tokens", "3.6.0", Honoured,
     "What a new local session costs, of which a single server has none; no other weight counts as \
      less than this."]
    ["connection_throttle_renew_session_weight", Both, INT_DECODED, "2", "tokens", "3.6.0", Honoured,
     "What a session costs that comes back."]
    ["largeRequestThreshold", Both, INT_DECODED, "-1", "bytes", "3.6.0", Honoured,
     "From which size a request counts as large; -1 switches that off."]
    ["largeRequestMaxBytes", Both, INT_DECODED, "104857600", "bytes", "3.6.0", Honoured,
     "How many bytes of large requests may be in flight; a connection that sends one more is closed."]
};
