//! Quotas of a real server: what its log and `mntr` say. What they count and refuse is compared
//! with Apache's server in `conformance/`.

use crate::process::{Client, Server, create, eventually};
use bellwether_wire::ErrorCode;

/// Makes a quota on `/a` with these limits.
fn quota_on_a(client: &mut Client, limits: &str) {
    for (xid, (path, data)) in (1..).zip([
        ("/a", ""),
        ("/zookeeper/quota/a", ""),
        ("/zookeeper/quota/a/zookeeper_limits", limits),
        ("/zookeeper/quota/a/zookeeper_stats", ""),
    ]) {
        assert_eq!(client.call(xid, &create(path, data.as_bytes())).0.err, 0, "{path}");
    }
}

#[test]
fn a_soft_quota_is_warned_of_and_nothing_is_refused() {
    let server = Server::start("quota-soft", "");
    let mut client = Client::connect(&server);
    quota_on_a(&mut client, "count=1,bytes=100=;byteHardLimit=4");
    assert_eq!(client.call(5, &create("/a/b", b"12345")).0.err, 0);
    let warned = |text: &str| server.has_logged(text);
    eventually("the soft limit of nodes is warned of", || {
        warned("a write exceeds a quota: the quota is a soft one")
    });
    eventually("the hard limit of bytes is warned of", || warned("need enforceQuota=true"));
    assert_eq!(server.metric("zk_a_quota_count_usage_per_namespace"), 2);
    assert!(!server.word("mntr").contains("quota_exceeded_error"));
}

#[test]
fn a_hard_quota_refuses_where_it_is_enforced() {
    let server = Server::start("quota-hard", "enforceQuota=true");
    let mut client = Client::connect(&server);
    quota_on_a(&mut client, "count=-1,bytes=-1=;countHardLimit=1");
    assert_eq!(client.call(5, &create("/a/b", b"")).0.err, ErrorCode::QuotaExceeded.code());
    assert_eq!(server.metric("zk_a_quota_exceeded_error_per_namespace"), 1);
    eventually("it is warned of", || server.has_logged("the quota is a hard one: refused"));
}
