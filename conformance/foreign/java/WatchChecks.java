import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Watches of every kind: what they tell, how often, and in which order. */
final class WatchChecks {
    private WatchChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session own = Session.open(checks.address);
                Session other = Session.open(checks.address)) {
            other.create("/watches");
            single(checks, own, other);
            lasting(checks, own, other);
            order(checks, own, other);
        }
    }

    private static void single(Checks checks, Session own, Session other) {
        checks.check("watches/data tells one change", "NodeDataChanged /watches/data", () -> {
            other.create("/watches/data");
            own.zk.getData("/watches/data", true, null);
            other.set("/watches/data", "1");
            other.set("/watches/data", "2");
            return own.events();
        });
        checks.check("watches/data tells the end", "NodeDeleted /watches/data", () -> {
            own.zk.getData("/watches/data", true, null);
            other.delete("/watches/data");
            return own.events();
        });
        checks.check("watches/exists tells creation, change and end",
                "NodeCreated /watches/e | NodeDataChanged /watches/e | NodeDeleted /watches/e",
                () -> {
                    own.zk.exists("/watches/e", true);
                    other.create("/watches/e");
                    String seen = own.events();
                    own.zk.exists("/watches/e", true);
                    other.set("/watches/e", "1");
                    seen += " | " + own.events();
                    own.zk.exists("/watches/e", true);
                    other.delete("/watches/e");
                    return seen + " | " + own.events();
                });
        checks.check("watches/children tell names, not contents",
                "NodeChildrenChanged /watches/c | NodeDeleted /watches/c", () -> {
                    other.create("/watches/c");
                    own.zk.getChildren("/watches/c", true);
                    other.set("/watches/c", "1");
                    other.create("/watches/c/1");
                    other.create("/watches/c/2");
                    String seen = own.events();
                    other.delete("/watches/c/1");
                    other.delete("/watches/c/2");
                    own.zk.getChildren("/watches/c", true);
                    other.delete("/watches/c");
                    return seen + " | " + own.events();
                });
        checks.check("watches/one watcher with two watches hears of the end once",
                "NodeDeleted /watches/two, NodeChildrenChanged /watches", () -> {
                    other.create("/watches/two");
                    own.zk.getChildren("/watches", true);
                    own.zk.getData("/watches/two", true, null);
                    own.zk.getChildren("/watches/two", true);
                    other.delete("/watches/two");
                    return own.events();
                });
        checks.check("watches/a read that fails leaves no watch", "NONODE NONODE ", () -> {
            Watcher watcher = own.named("failed");
            String seen = Checks.code(() -> own.zk.getData("/watches/no", watcher, null))
                    + " " + Checks.code(() -> own.zk.getChildren("/watches/no", watcher));
            other.create("/watches/no");
            other.delete("/watches/no");
            return seen + " " + own.events();
        });
        checks.check("watches/events carry the zxid of their change", "true true", () -> {
            java.util.concurrent.BlockingQueue<WatchedEvent> queue =
                    new java.util.concurrent.LinkedBlockingQueue<>();
            own.zk.exists("/watches/zxid", queue::add);
            other.create("/watches/zxid");
            Stat stat = own.zk.exists("/watches/zxid", queue::add);
            String seen = "" + (queue.take().getZxid() == stat.getCzxid());
            Stat set = other.zk.setData("/watches/zxid", new byte[1], -1);
            return seen + " " + (queue.take().getZxid() == set.getMzxid());
        });
    }

    private static void lasting(Checks checks, Session own, Session other) {
        checks.check("watches/persistent tells everything of one node",
                "NodeCreated /watches/p, NodeDataChanged /watches/p, "
                        + "NodeDataChanged /watches/p, NodeChildrenChanged /watches/p, "
                        + "NodeChildrenChanged /watches/p, NodeDeleted /watches/p, "
                        + "NodeCreated /watches/p",
                () -> {
                    own.zk.addWatch("/watches/p", AddWatchMode.PERSISTENT);
                    other.create("/watches/p");
                    other.set("/watches/p", "1");
                    other.set("/watches/p", "2");
                    other.create("/watches/p/child");
                    other.set("/watches/p/child", "1");
                    other.delete("/watches/p/child");
                    other.delete("/watches/p");
                    other.create("/watches/p");
                    return own.events();
                });
        checks.check("watches/persistent recursive tells everything below",
                "NodeCreated /watches/r, NodeCreated /watches/r/a, NodeCreated /watches/r/a/b, "
                        + "NodeDataChanged /watches/r/a/b, NodeDataChanged /watches/r, "
                        + "NodeDeleted /watches/r/a/b, NodeDeleted /watches/r/a, "
                        + "NodeDeleted /watches/r",
                () -> {
                    own.zk.addWatch("/watches/r", AddWatchMode.PERSISTENT_RECURSIVE);
                    other.create("/watches/r");
                    other.create("/watches/r/a");
                    other.create("/watches/r/a/b");
                    other.set("/watches/r/a/b", "1");
                    other.set("/watches/r", "1");
                    other.create("/watches/rx");
                    other.delete("/watches/r/a/b");
                    other.delete("/watches/r/a");
                    other.delete("/watches/r");
                    return own.events();
                });
        checks.check("watches/standard ones work beside a recursive one",
                "one:NodeDataChanged /watches/beside, two:NodeDataChanged /watches/beside "
                        + "| two:NodeCreated /watches/beside/1, "
                        + "three:NodeChildrenChanged /watches/beside",
                () -> {
                    other.create("/watches/beside");
                    own.zk.getData("/watches/beside", own.named("one"), null);
                    own.zk.addWatch("/watches/beside", own.named("two"),
                            AddWatchMode.PERSISTENT_RECURSIVE);
                    other.set("/watches/beside", "1");
                    // Which of two watchers of one event is called first is the client's choice.
                    String seen = sorted(own.events());
                    own.zk.getChildren("/watches/beside", own.named("three"));
                    other.create("/watches/beside/1");
                    return seen + " | " + own.events();
                });
        checks.check("watches/one watcher may watch a path in both lasting modes",
                "NodeChildrenChanged /watches/mode | "
                        + "NodeChildrenChanged /watches/mode, NodeCreated /watches/mode/2",
                () -> {
                    other.create("/watches/mode");
                    Watcher watcher = own.named("");
                    own.zk.addWatch("/watches/mode", watcher, AddWatchMode.PERSISTENT);
                    other.create("/watches/mode/1");
                    String seen = own.events();
                    own.zk.addWatch("/watches/mode", watcher, AddWatchMode.PERSISTENT_RECURSIVE);
                    other.create("/watches/mode/2");
                    return seen + " | " + sorted(own.events());
                });
    }

    private static void order(Checks checks, Session own, Session other) {
        checks.check("watches/the event comes before the answer to its cause",
                "NodeDataChanged /watches/cause, answer", () -> {
                    other.create("/watches/cause");
                    own.zk.getData("/watches/cause", true, null);
                    own.zk.setData("/watches/cause", new byte[0], -1,
                            (code, path, context, stat) -> own.note("answer"), null);
                    return own.events();
                });
        checks.check("watches/a multi tells its changes in its order",
                "NodeCreated /watches/m, NodeCreated /watches/m/1, "
                        + "NodeDataChanged /watches/m/1, NodeDeleted /watches/m/1",
                () -> {
                    own.zk.addWatch("/watches/m", AddWatchMode.PERSISTENT_RECURSIVE);
                    byte[] data = new byte[0];
                    other.zk.multi(List.of(
                            Op.create("/watches/m", data, Ids.OPEN_ACL_UNSAFE,
                                    CreateMode.PERSISTENT),
                            Op.create("/watches/m/1", data, Ids.OPEN_ACL_UNSAFE,
                                    CreateMode.PERSISTENT),
                            Op.setData("/watches/m/1", data, 0),
                            Op.delete("/watches/m/1", 1)));
                    return own.events();
                });
        checks.check("watches/a session that ends tells through its ephemerals",
                "NodeCreated /watches/end/1, NodeDeleted /watches/end/1", () -> {
                    other.create("/watches/end");
                    own.zk.addWatch("/watches/end", AddWatchMode.PERSISTENT_RECURSIVE);
                    Session third = Session.open(checks.address);
                    third.create("/watches/end/1", "", CreateMode.EPHEMERAL);
                    third.close();
                    return own.events();
                });
        checks.check("watches/two hundred changes come whole and in order", "true", () -> {
            other.create("/watches/many");
            own.zk.addWatch("/watches/many", AddWatchMode.PERSISTENT_RECURSIVE);
            StringBuilder expected = new StringBuilder();
            for (int i = 0; i < 200; i++) {
                String path = "/watches/many/" + i;
                other.zk.create(path, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (code, asked, context, name) -> { }, null);
                expected.append(i == 0 ? "" : ", ").append("NodeCreated ").append(path);
            }
            other.zk.exists("/", false);
            return own.events().contentEquals(expected);
        });
    }

    static String sorted(String events) {
        String[] all = events.split(", ");
        java.util.Arrays.sort(all);
        return String.join(", ", all);
    }
}
