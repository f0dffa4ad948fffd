import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;

/** Watches over a lost connection: what the client missed it is told, what it did not it keeps. */
final class ReconnectChecks {
    private ReconnectChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session other = Session.open(checks.address)) {
            other.create("/away");
            missed(checks, other);
            kept(checks, other);
            lasting(checks, other);
            below(checks, other);
            many(checks, other);
        }
    }

    /** What a client does before, what happens while it is away, and what it says at the end. */
    private static String away(Checks checks, String root, Steps steps) throws Exception {
        try (Cable cable = new Cable(checks.address);
                Session own = Session.open(cable.address + root)) {
            steps.before(own);
            cable.cut();
            own.await(KeeperState.Disconnected);
            steps.meanwhile();
            cable.mend();
            own.connected();
            return steps.after(own);
        }
    }

    private interface Steps {
        void before(Session own) throws Exception;

        void meanwhile() throws Exception;

        String after(Session own) throws Exception;
    }

    private static void missed(Checks checks, Session other) {
        checks.check("away/what changed meanwhile is told at the return",
                "NodeDataChanged /away/set, NodeDeleted /away/deleted, NodeCreated /away/created, "
                        + "NodeChildrenChanged /away/parent | ",
                () -> away(checks, "", new Steps() {
                    @Override
                    public void before(Session own) throws Exception {
                        for (String name : new String[] {"set", "deleted", "parent"}) {
                            own.create("/away/" + name);
                        }
                        own.zk.getData("/away/set", true, null);
                        own.zk.getData("/away/deleted", true, null);
                        own.zk.exists("/away/created", true);
                        own.zk.getChildren("/away/parent", true);
                    }

                    @Override
                    public void meanwhile() throws Exception {
                        other.create("/away/parent/child");
                        other.create("/away/created");
                        other.delete("/away/deleted");
                        other.set("/away/set", "1");
                    }

                    @Override
                    public String after(Session own) throws Exception {
                        String seen = inOrderOf(own.events(),
                                "/away/set", "/away/deleted", "/away/created", "/away/parent");
                        other.set("/away/set", "2");
                        other.create("/away/parent/another");
                        return seen + " | " + own.events();
                    }
                }));
    }

    /** The client walks its data watches in no order of its own; the kinds have one. */
    private static String inOrderOf(String events, String... paths) {
        StringBuilder seen = new StringBuilder();
        for (String path : paths) {
            for (String event : events.split(", ")) {
                if (event.endsWith(" " + path)) {
                    seen.append(seen.isEmpty() ? "" : ", ").append(event);
                }
            }
        }
        return seen.length() == events.length() ? seen.toString() : events;
    }

    private static void kept(Checks checks, Session other) {
        checks.check("away/what did not change is still watched",
                " | NodeDataChanged /away/kept, NodeChildrenChanged /away/kept, "
                        + "NodeCreated /away/awaited",
                () -> away(checks, "", new Steps() {
                    @Override
                    public void before(Session own) throws Exception {
                        own.create("/away/kept");
                        own.zk.getData("/away/kept", true, null);
                        own.zk.getChildren("/away/kept", true);
                        own.zk.exists("/away/awaited", true);
                    }

                    @Override
                    public void meanwhile() throws Exception {
                        other.set("/away", "nobody watches this");
                    }

                    @Override
                    public String after(Session own) throws Exception {
                        String seen = own.events();
                        other.set("/away/kept", "1");
                        other.create("/away/kept/child");
                        other.create("/away/awaited");
                        return seen + " | " + own.events();
                    }
                }));
    }

    private static void lasting(Checks checks, Session other) {
        checks.check("away/lasting watches come back, and tell nothing of the time between",
                " | p:NodeDataChanged /away/p, r:NodeDataChanged /away/r/1, "
                        + "r:NodeCreated /away/r/3",
                () -> away(checks, "", new Steps() {
                    @Override
                    public void before(Session own) throws Exception {
                        own.create("/away/p");
                        own.create("/away/r");
                        own.create("/away/r/1");
                        own.zk.addWatch("/away/p", own.named("p"), AddWatchMode.PERSISTENT);
                        own.zk.addWatch("/away/r", own.named("r"),
                                AddWatchMode.PERSISTENT_RECURSIVE);
                    }

                    @Override
                    public void meanwhile() throws Exception {
                        other.set("/away/p", "1");
                        other.create("/away/r/2");
                    }

                    @Override
                    public String after(Session own) throws Exception {
                        String seen = own.events();
                        other.set("/away/p", "2");
                        other.set("/away/r/1", "2");
                        other.create("/away/r/3");
                        return seen + " | " + own.events();
                    }
                }));
    }

    private static void below(Checks checks, Session other) {
        checks.check("away/a client below a root of its own sees its own paths",
                "NodeDataChanged /set | NodeDeleted /set, NodeCreated /new", () -> {
                    other.create("/away/base");
                    other.create("/away/base/set");
                    return away(checks, "/away/base", new Steps() {
                        @Override
                        public void before(Session own) throws Exception {
                            own.zk.getData("/set", true, null);
                            own.zk.exists("/new", true);
                        }

                        @Override
                        public void meanwhile() throws Exception {
                            other.set("/away/base/set", "1");
                        }

                        @Override
                        public String after(Session own) throws Exception {
                            String seen = own.events();
                            own.zk.getData("/set", true, null);
                            other.delete("/away/base/set");
                            other.create("/away/base/new");
                            return seen + " | " + own.events();
                        }
                    });
                });
    }

    private static void many(Checks checks, Session other) {
        // The client sends at most 128 KiB of paths at once: this takes three requests.
        int count = 1_500;
        String long200 = "/away/many/" + "x".repeat(200);
        checks.check("away/thousands of watches come back in several requests",
                "100 deleted, others: NodeDataChanged", () -> away(checks, "", new Steps() {
                    @Override
                    public void before(Session own) throws Exception {
                        own.create("/away/many");
                        for (int i = 0; i < count; i++) {
                            own.zk.create(long200 + i, new byte[0], Ids.OPEN_ACL_UNSAFE,
                                    CreateMode.PERSISTENT, (code, path, c, name) -> { }, null);
                            own.zk.getData(long200 + i, true, (code, p, c, data, s) -> { }, null);
                        }
                        own.events();
                    }

                    @Override
                    public void meanwhile() throws Exception {
                        for (int i = 0; i < 100; i++) {
                            other.delete(long200 + i * 10);
                        }
                    }

                    @Override
                    public String after(Session own) throws Exception {
                        int deleted = own.events().split(", NodeDeleted").length;
                        other.set(long200 + (count - 1), "1");
                        return deleted + " deleted, others: " + own.events().split(" ")[0];
                    }
                }));
    }
}
