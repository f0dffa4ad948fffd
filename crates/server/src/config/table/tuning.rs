//! Rows: knobs of Apache's threads, caches and statistics, and properties of Java itself.

use super::super::kinds::Kind;
use super::super::kinds::Kind::{Class, Text};
use super::super::setting::Place::{Both, Java};
use super::super::setting::Status::{Honoured, WithoutEffect};
use super::super::setting::{Setting, Status};
use super::{FLAG, INT_DECODED, LONG_DECODED, decoded, setting_rows};

const OTHER_THREADS: Status = WithoutEffect(
    "this server has other threads: one for connections and the tree, one for the log",
);
const OTHER_WATCHES: Status = WithoutEffect("this server keeps watches in another structure");
const NO_STATISTICS: Status = WithoutEffect("this server keeps no such statistics");

pub(super) const ROWS: &[Setting] = setting_rows! { Tuning
    ["nio.numSelectorThreads", Both, decoded(1, i32::MAX as i64), "", "threads", "3.5.0",
     OTHER_THREADS, "Threads that wait for connections to have something to read."]
    ["nio.numWorkerThreads", Both, INT_DECODED, "", "threads", "3.5.0", OTHER_THREADS,
     "Threads that read and write connections."]
    ["nio.directBufferBytes", Both, INT_DECODED, "65536", "bytes", "3.5.0", OTHER_THREADS,
     "The size of a thread's buffer for replies."]
    ["nio.shutdownTimeout", Both, LONG_DECODED, "5000", "ms", "3.5.0", OTHER_THREADS,
     "How long those threads may take to stop."]
    ["netty.advancedFlowControl.enabled", Both, FLAG, "false", "", "3.6.0",
     WithoutEffect("reading from a connection always stops while its requests wait"),
     "Whether Netty stops reading from a connection whose requests wait."]
    ["intBufferStartingSizeBytes", Both, INT_DECODED, "1024", "bytes", "3.6.0", OTHER_THREADS,
     "The first size of a request's buffer."]
    ["commitProcessor.numWorkerThreads", Both, INT_DECODED, "", "threads", "3.5.0", OTHER_THREADS,
     "Threads that answer reads and apply writes."]
    ["commitProcessor.shutdownTimeout", Both, LONG_DECODED, "5000", "ms", "3.5.0", OTHER_THREADS,
     "How long those threads may take to stop."]
    ["commitProcessor.maxReadBatchSize", Both, INT_DECODED, "-1", "", "3.6.0", OTHER_THREADS,
     "How many reads are answered before a write is applied."]
    ["commitProcessor.maxCommitBatchSize", Both, INT_DECODED, "1", "", "3.6.0", OTHER_THREADS,
     "How many writes are applied before reads are answered."]
    ["maxResponseCacheSize", Both, INT_DECODED, "400", "", "3.6.0",
     WithoutEffect("replies are built from the tree without a copy, so there is nothing to cache"),
     "How many encoded replies to getData are kept."]
    ["maxGetChildrenResponseCacheSize", Both, INT_DECODED, "400", "", "3.6.0",
     WithoutEffect("replies are built from the tree without a copy, so there is nothing to cache"),
     "How many encoded replies to getChildren are kept."]
    ["watchManagerName", Both, Class, "org.apache.zookeeper.server.watch.WatchManager", "", "3.6.0",
     OTHER_WATCHES, "The class that keeps watches."]
    ["watcherCleanThreadsNum", Both, INT_DECODED, "2", "threads", "3.6.0", OTHER_WATCHES,
     "Threads that remove the watches of closed connections."]
    ["watcherCleanThreshold", Both, INT_DECODED, "1000", "", "3.6.0", OTHER_WATCHES,
     "How many closed connections are collected first."]
    ["watcherCleanIntervalInSeconds", Both, INT_DECODED, "600", "s", "3.6.0", OTHER_WATCHES,
     "How long they are collected."]
    ["maxInProcessingDeadWatchers", Both, INT_DECODED, "-1", "", "3.6.0", OTHER_WATCHES,
     "How many closed connections may wait to be cleaned up."]
    ["bitHashCacheSize", Both, INT_DECODED, "10", "", "3.6.0", OTHER_WATCHES,
     "The size of a cache within Apache's optimised watch manager."]
    ["pathStats.enabled", Both, FLAG, "false", "", "3.6.0", NO_STATISTICS,
     "Whether the most used paths are counted."]
    ["pathStats.slotCapacity", Both, INT_DECODED, "60", "", "3.6.0", NO_STATISTICS,
     "How many spans of time are kept."]
    ["pathStats.slotDuration", Both, INT_DECODED, "15", "s", "3.6.0", NO_STATISTICS,
     "The length of such a span."]
    ["pathStats.maxDepth", Both, INT_DECODED, "6", "", "3.6.0", NO_STATISTICS,
     "How many components of a path count."]
    ["pathStats.initialDelay", Both, LONG_DECODED, "5", "min", "3.6.0", NO_STATISTICS,
     "The pause before the first report."]
    ["pathStats.delay", Both, LONG_DECODED, "5", "min", "3.6.0", NO_STATISTICS,
     "The pause between two reports."]
    ["pathStats.topPathMax", Both, INT_DECODED, "20", "", "3.6.0", NO_STATISTICS,
     "How many paths a report lists."]
    ["pathStats.sampleRate", Both, Kind::Real, "0.1", "", "3.6.0", NO_STATISTICS,
     "The share of requests that is counted."]
    ["messageTracker.Enabled", Both, FLAG, "false", "", "3.6.0", NO_STATISTICS,
     "Whether the last messages between servers are kept for the log."]
    ["messageTracker.BufferSize", Both, INT_DECODED, "10", "", "3.6.0", NO_STATISTICS,
     "How many messages are kept."]
    ["test.allowDiscontinuousProposals", Both, FLAG, "false", "", "3.9.4",
     WithoutEffect("it is a switch for Apache's own tests"),
     "For tests: whether gaps between transactions are let pass."]
    ["disableAutoWatchReset", Both, FLAG, "false", "", "3.0.0",
     WithoutEffect("it is a setting of Apache's clients"),
     "Whether a Java client sets its watches again after it reconnects."]
    ["request.timeout", Both, INT_DECODED, "0", "ms", "3.5.5",
     WithoutEffect("it is a setting of Apache's clients"),
     "How long a Java client waits for a reply."]
    ["log.*", Both, Text, "", "", "3.0.0",
     WithoutEffect("Apache's logging library reads it; this server writes its log to standard \
                    error, and --log-level and --log-format set it up; `bellwether loglevel` changes it"),
     "Directory, file and levels of Apache's log."]
    ["root.logger", Both, Text, "", "", "3.0.0",
     WithoutEffect("Apache's logging library reads it; see --log-level"),
     "Level and targets of Apache's log."]
    ["console.threshold", Both, Text, "", "", "3.0.0",
     WithoutEffect("Apache's logging library reads it; see --log-level"),
     "From which level Apache logs to the console."]
    ["tracelog.*", Both, Text, "", "", "3.0.0",
     WithoutEffect("Apache's logging library reads it"),
     "Directory and file of Apache's trace log."]
    ["jmx.log4j.*", Both, Text, "", "", "3.4.0",
     WithoutEffect("there is no JMX without a Java machine"),
     "Whether the log can be set up by JMX."]
};

const OF_JAVA: Status = WithoutEffect("a property of Java, and there is no Java machine");

pub(super) const JAVA: &[Setting] = setting_rows! { Java
    ["java.net.preferIPv4Stack", Java, FLAG, "false", "", "3.0.0", Honoured,
     "Whether the server listens on IPv4 addresses only where it listens on all addresses."]
    ["java.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java."]
    ["javax.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java's extensions."]
    ["jdk.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java's libraries."]
    ["sun.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java's libraries."]
    ["com.sun.*", Java, Text, "", "", "3.0.0", OF_JAVA,
     "Properties of Java's management (JMX)."]
    ["user.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java about the user."]
    ["file.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of Java about files."]
    ["log4j.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of the library Log4j."]
    ["log4j2.*", Java, Text, "", "", "3.0.0", OF_JAVA, "Properties of the library Log4j."]
    ["logback.*", Java, Text, "", "", "3.8.0", OF_JAVA, "Properties of the library Logback."]
    ["org.slf4j.*", Java, Text, "", "", "3.4.0", OF_JAVA, "Properties of the library SLF4J."]
    ["io.netty.*", Java, Text, "", "", "3.4.0", OF_JAVA, "Properties of the library Netty."]
    ["org.eclipse.jetty.*", Java, Text, "", "", "3.5.0", OF_JAVA,
     "Properties of the library Jetty."]
    ["networkaddress.cache.*", Java, Text, "", "", "3.0.0", OF_JAVA,
     "Java's cache of host names."]
};
