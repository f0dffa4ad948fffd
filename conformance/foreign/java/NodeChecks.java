import java.nio.ByteBuffer;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Single nodes: creation, numbers, stats, counts, errors, and the questions about a server. */
final class NodeChecks {
    private NodeChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session session = Session.open(checks.address)) {
            session.create("/nodes");
            stats(checks, session);
            errors(checks, session);
            questions(checks, session);
        }
    }

    private static void stats(Checks checks, Session session) {
        checks.check("nodes/create gives the stat on request", "/nodes/s 0 3 0 true true", () -> {
            Stat made = new Stat();
            String path = session.zk.create("/nodes/s", "abc".getBytes(), Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT, made);
            Stat seen = session.zk.exists("/nodes/s", false);
            return path + " " + made.getVersion() + " " + made.getDataLength() + " "
                    + made.getEphemeralOwner() + " " + made.equals(seen) + " "
                    + (made.getCzxid() == made.getPzxid());
        });
        checks.check("nodes/versions count apart", "2 3 1", () -> {
            session.create("/nodes/v");
            session.set("/nodes/v", "1");
            session.set("/nodes/v", "2");
            session.create("/nodes/v/1");
            session.create("/nodes/v/2");
            session.delete("/nodes/v/1");
            session.zk.setACL("/nodes/v", Ids.OPEN_ACL_UNSAFE, 0);
            Stat stat = session.zk.exists("/nodes/v", false);
            return stat.getVersion() + " " + stat.getCversion() + " " + stat.getAversion();
        });
        checks.check("nodes/numbers go on after a deletion",
                "/nodes/n/q-0000000000 /nodes/n/q-0000000001 /nodes/n/0000000002", () -> {
                    session.create("/nodes/n");
                    String one = session.create("/nodes/n/q-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
                    session.delete(one);
                    return one + " "
                            + session.create("/nodes/n/q-", "", CreateMode.PERSISTENT_SEQUENTIAL)
                            + " "
                            + session.create("/nodes/n/", "", CreateMode.PERSISTENT_SEQUENTIAL);
                });
        checks.check("nodes/null is data of its own", "null 0", () -> {
            session.zk.create("/nodes/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Stat stat = new Stat();
            byte[] data = session.zk.getData("/nodes/null", false, stat);
            return (data == null ? "null" : "length " + data.length) + " " + stat.getDataLength();
        });
        checks.check("nodes/names may be in any script", "[zażółć, имя, 日本]", () -> {
            session.create("/nodes/names");
            for (String name : new String[] {"日本", "zażółć", "имя"}) {
                session.create("/nodes/names/" + name);
            }
            return session.names("/nodes/names");
        });
    }

    private static void errors(Checks checks, Session session) {
        checks.check("nodes/errors", "NODEEXISTS NONODE NONODE NONODE NOTEMPTY BADVERSION "
                + "BADVERSION BADVERSION BADARGUMENTS NOCHILDRENFOREPHEMERALS NONODE", () -> {
                    session.create("/nodes/e");
                    session.create("/nodes/e/child");
                    session.create("/nodes/eph", "", CreateMode.EPHEMERAL);
                    return String.join(" ",
                            Checks.code(() -> session.create("/nodes/e")),
                            Checks.code(() -> session.create("/nodes/none/child")),
                            Checks.code(() -> session.text("/nodes/none")),
                            Checks.code(() -> session.names("/nodes/none")),
                            Checks.code(() -> session.delete("/nodes/e")),
                            Checks.code(() -> session.zk.delete("/nodes/e/child", 9)),
                            Checks.code(() -> session.zk.setData("/nodes/e", new byte[0], 9)),
                            Checks.code(() -> session.zk.setACL(
                                    "/nodes/e", Ids.OPEN_ACL_UNSAFE, 9)),
                            Checks.code(() -> session.delete("/")),
                            Checks.code(() -> session.create("/nodes/eph/child")),
                            Checks.code(() -> session.zk.getACL("/nodes/none", new Stat())));
                });
        checks.check("nodes/the server's own node stays", "BADARGUMENTS NONODE", () ->
                Checks.code(() -> session.delete("/zookeeper")) + " "
                        + Checks.code(() -> session.delete("/zookeeper/none")));
    }

    private static void questions(Checks checks, Session session) {
        checks.check("nodes/all nodes below are counted", "0 4 true NONODE", () -> {
            session.create("/nodes/count");
            int none = session.zk.getAllChildrenNumber("/nodes/count");
            for (String path : new String[] {"/a", "/a/b", "/a/b/c", "/d"}) {
                session.create("/nodes/count" + path);
            }
            // Nodes of other names that begin alike are no children.
            session.create("/nodes/counted");
            return none + " " + session.zk.getAllChildrenNumber("/nodes/count") + " "
                    + (session.zk.getAllChildrenNumber("/") > 5) + " "
                    + Checks.code(() -> session.zk.getAllChildrenNumber("/nodes/none"));
        });
        checks.check("nodes/ephemerals of the session, all and below a prefix",
                "[/nodes/own/1, /nodes/own/2, /nodes/own3] [/nodes/own/1] [] []",
                () -> {
                    try (Session one = Session.open(checks.address);
                            Session two = Session.open(checks.address)) {
                        one.create("/nodes/own");
                        for (String name : new String[] {"/2", "/1", "3"}) {
                            one.create("/nodes/own" + name, "", CreateMode.EPHEMERAL);
                        }
                        return one.zk.getEphemerals().stream().sorted().toList() + " "
                                + one.zk.getEphemerals("/nodes/own/1")
                                + " " + one.zk.getEphemerals("/none") + " "
                                + two.zk.getEphemerals();
                    }
                });
        checks.check("nodes/sync answers for any path", "OK OK", () ->
                Checks.code(() -> session.zk.sync("/nodes")) + " "
                        + Checks.code(() -> session.zk.sync("/nodes/none")));
        checks.check("nodes/a single server's configuration is empty", "'' 0 -1 watched", () -> {
            Stat stat = new Stat();
            Watcher watcher = session.named("config");
            byte[] config = session.zk.getConfig(watcher, stat);
            session.zk.removeWatches("/zookeeper/config", watcher, Watcher.WatcherType.Data, false);
            return "'" + new String(config) + "' " + stat.getDataLength() + " "
                    + (stat.getVersion() - 1)
                    + (session.events().endsWith("DataWatchRemoved /zookeeper/config")
                            ? " watched" : "");
        });
        checks.check("nodes/the server's nodes", "[config, quota]", () ->
                session.names("/zookeeper"));
        checks.check("nodes/children come with the parent's stat", "[1, 2] 2 true", () -> {
            session.create("/nodes/kids");
            session.create("/nodes/kids/1");
            session.create("/nodes/kids/2");
            Stat stat = new Stat();
            List<String> names = session.zk.getChildren("/nodes/kids", false, stat);
            return names.stream().sorted().toList() + " " + stat.getNumChildren() + " "
                    + stat.equals(session.zk.exists("/nodes/kids", false));
        });
        checks.check("nodes/bytes come back as they are", "true", () -> {
            byte[] bytes = ByteBuffer.allocate(1024).putLong(-1L).putLong(0x00ff_0a0dL).array();
            session.zk.create("/nodes/bytes", bytes, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            return java.util.Arrays.equals(
                    bytes, session.zk.getData("/nodes/bytes", false, null));
        });
    }
}
