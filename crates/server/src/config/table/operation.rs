//! Rows: the admin server, metrics, audit.

use super::super::kinds::Kind::{Class, Text};
use super::super::kinds::{Kind, Reading};
use super::super::setting::Harmless::Words;
use super::super::setting::Place::{Both, File};
use super::super::setting::Status::{Honoured, Refused, WithoutEffect};
use super::super::setting::{Setting, Status};
use super::{FLAG, INT_DECODED, INT_MAX, LONG, STRICT, decoded, setting_rows};

const NO_ADMIN: Status =
    WithoutEffect("the HTTP admin server does not exist in this version: nothing listens for it");
const NO_JAVA: Status = WithoutEffect("there is no Java machine that could pause");
const DEFAULT_METRICS: &[&str] = &[
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
];

pub(super) const ROWS: &[Setting] = setting_rows! { Operation
    ["admin.enableServer", Both, Kind::Flag(Reading::FalseOrElseTrue), "true", "", "3.5.0",
     NO_ADMIN, "Whether the HTTP admin server runs."]
    ["admin.serverPort", Both, decoded(0, 65535), "8080", "", "3.5.0", NO_ADMIN, "Its TCP port."]
    ["admin.serverAddress", Both, Text, "0.0.0.0", "", "3.5.1", NO_ADMIN,
     "The address it listens on."]
    ["admin.commandURL", Both, Text, "/commands", "", "3.5.0", NO_ADMIN,
     "The path below which its commands lie."]
    ["admin.idleTimeout", Both, INT_DECODED, "30000", "ms", "3.5.3", NO_ADMIN,
     "How long an HTTP connection may be silent."]
    ["admin.httpVersion", Both, INT_DECODED, "11", "", "3.6.0", NO_ADMIN,
     "The version of HTTP in Java's counting."]
    ["admin.portUnification", Both, FLAG, "false", "", "3.6.0", NO_ADMIN,
     "Whether its port speaks both HTTP and HTTPS."]
    ["admin.forceHttps", Both, FLAG, "false", "", "3.6.3", NO_ADMIN,
     "Whether its port speaks HTTPS only."]
    ["admin.needClientAuth", Both, FLAG, "false", "", "3.9.0", NO_ADMIN,
     "Whether its clients need a certificate."]
    ["admin.rateLimiterIntervalInMS", Both, decoded(0, INT_MAX), "300000", "ms", "3.9.0", NO_ADMIN,
     "The pause between two snapshots or restores that are asked for."]
    ["admin.snapshot.enabled", Both, FLAG, "true", "", "3.9.0", NO_ADMIN,
     "Whether it hands out snapshots."]
    ["admin.restore.enabled", Both, FLAG, "true", "", "3.9.0", NO_ADMIN,
     "Whether it takes snapshots to restore from."]
    ["metricsProvider.className", File, Class,
     "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", "", "3.6.0",
     Refused("classes of Java cannot be loaded, and the Prometheus endpoint does not exist in this \
              version: who scrapes it would see nothing. Remove the line; `mntr` shows what is \
              measured", Words(DEFAULT_METRICS)),
     "The class that publishes metrics."]
    ["metricsProvider.*", File, Text, "", "", "3.6.0",
     WithoutEffect("only the metrics provider reads them"),
     "Settings of the metrics provider (httpHost, httpPort, exportJvmInfo, ...)."]
    ["audit.enable", Both, FLAG, "false", "", "3.6.0", Honoured,
     "Whether every change, and every refused one, becomes a line of an audit log."]
    ["audit.impl.class", Both, Class, "org.apache.zookeeper.audit.Slf4jAuditLogger", "", "3.6.0",
     Honoured,
     "The class that writes the audit log. No other can be loaded: with audit.enable another one is \
      an error."]
    ["auditlog.dir", Both, Text, "", "", "3.6.0", Honoured,
     "The directory of the audit log; unset: that of zookeeper.log.dir, and without it the one in \
      which the server is started. It must exist."]
    ["auditlog.file", Both, Text, "zookeeper_audit.log", "", "3.6.0", Honoured,
     "The audit log's file; at 10 MB it is renamed to .1, and ten old ones are kept."]
    ["auditlog.threshold", Both, Text, "INFO", "", "3.6.0",
     WithoutEffect("the audit log has all its lines, whatever their level"),
     "From which level Apache's logging library writes audit lines."]
    ["log.dir", Both, Text, "", "", "3.0.0", Honoured,
     "The directory of Apache's log files; here that of the audit log where auditlog.dir is not \
      set. Everything else goes to standard error."]
    ["jvm.pause.monitor", File, STRICT, "false", "", "3.5.10", NO_JAVA,
     "Whether pauses of the Java machine are watched for."]
    ["jvm.pause.info-threshold.ms", File, LONG, "1000", "ms", "3.5.10", NO_JAVA,
     "From which length such a pause is logged."]
    ["jvm.pause.warn-threshold.ms", File, LONG, "10000", "ms", "3.5.10", NO_JAVA,
     "From which length such a pause is a warning."]
    ["jvm.pause.sleep.time.ms", File, LONG, "500", "ms", "3.5.10", NO_JAVA,
     "How often is looked."]
};
