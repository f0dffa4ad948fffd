import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;

/** Watches that are taken back: by kind, by watcher, all at once, and without a connection. */
final class WatchRemovalChecks {
    private WatchRemovalChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session own = Session.open(checks.address);
                Session other = Session.open(checks.address)) {
            other.create("/removal");
            one(checks, own, other);
            all(checks, own, other);
            without(checks, other);
        }
    }

    private static void one(Checks checks, Session own, Session other) {
        for (WatcherType type : WatcherType.values()) {
            String path = "/removal/" + type;
            String expected = switch (type) {
                case Children -> "w:ChildWatchRemoved " + path + " | w:NodeDataChanged " + path;
                case Data -> "w:DataWatchRemoved " + path + " | w:NodeChildrenChanged " + path;
                case Persistent, PersistentRecursive ->
                    "w:PersistentWatchRemoved " + path + " | ";
                case Any -> "w:ChildWatchRemoved " + path + ", w:DataWatchRemoved " + path + " | ";
            };
            checks.check("removal/one watcher of type " + type, expected, () -> {
                other.create(path);
                Watcher watcher = own.named("w");
                switch (type) {
                    case Persistent -> own.zk.addWatch(path, watcher, AddWatchMode.PERSISTENT);
                    case PersistentRecursive ->
                        own.zk.addWatch(path, watcher, AddWatchMode.PERSISTENT_RECURSIVE);
                    case Children, Data, Any -> {
                        own.zk.getData(path, watcher, null);
                        own.zk.getChildren(path, watcher);
                    }
                }
                own.zk.removeWatches(path, watcher, type, false);
                String seen = WatchChecks.sorted(own.events());
                other.set(path, "1");
                other.create(path + "/child");
                return seen + " | " + own.events();
            });
        }
        checks.check("removal/the other watcher of a path stays",
                "one:DataWatchRemoved /removal/stays | two:NodeDataChanged /removal/stays", () -> {
                    other.create("/removal/stays");
                    Watcher one = own.named("one");
                    own.zk.getData("/removal/stays", one, null);
                    own.zk.getData("/removal/stays", own.named("two"), null);
                    own.zk.removeWatches("/removal/stays", one, WatcherType.Data, false);
                    String seen = own.events();
                    other.set("/removal/stays", "1");
                    return seen + " | " + own.events();
                });
        checks.check("removal/what is not there cannot be taken",
                "NOWATCHER NOWATCHER NOWATCHER NOWATCHER", () -> {
                    String seen = "";
                    for (WatcherType type : new WatcherType[] {WatcherType.Data,
                        WatcherType.Children, WatcherType.Persistent, WatcherType.Any}) {
                        seen += " " + Checks.code(() -> own.zk.removeWatches(
                                "/removal/none", own.named("none"), type, false));
                    }
                    return seen.strip();
                });
        checks.check("removal/another type of watch is not meant", "NOWATCHER", () -> {
            Watcher watcher = own.named("w");
            own.zk.getData("/removal", watcher, null);
            return Checks.code(() -> own.zk.removeWatches(
                    "/removal", watcher, WatcherType.Children, false));
        });
    }

    private static void all(Checks checks, Session own, Session other) {
        checks.check("removal/all watchers of a path", "a:DataWatchRemoved /removal/all, "
                + "b:ChildWatchRemoved /removal/all, c:PersistentWatchRemoved /removal/all | ",
                () -> {
                    other.create("/removal/all");
                    own.zk.getData("/removal/all", own.named("a"), null);
                    own.zk.getChildren("/removal/all", own.named("b"));
                    own.zk.addWatch("/removal/all", own.named("c"), AddWatchMode.PERSISTENT);
                    own.zk.removeAllWatches("/removal/all", WatcherType.Any, false);
                    String seen = WatchChecks.sorted(own.events());
                    other.set("/removal/all", "1");
                    other.delete("/removal/all");
                    return seen + " | " + own.events();
                });
        checks.check("removal/all data watchers leave the children's",
                "a:DataWatchRemoved /removal/some, b:DataWatchRemoved /removal/some "
                        + "| c:NodeChildrenChanged /removal/some",
                () -> {
                    other.create("/removal/some");
                    own.zk.getData("/removal/some", own.named("a"), null);
                    own.zk.exists("/removal/some", own.named("b"));
                    own.zk.getChildren("/removal/some", own.named("c"));
                    own.zk.removeAllWatches("/removal/some", WatcherType.Data, false);
                    String seen = WatchChecks.sorted(own.events());
                    other.set("/removal/some", "1");
                    other.create("/removal/some/child");
                    return seen + " | " + own.events();
                });
        checks.check("removal/all of none", "NOWATCHER", () -> Checks.code(
                () -> own.zk.removeAllWatches("/removal/none", WatcherType.Any, false)));
        checks.check("removal/one session's removal is not another's",
                "NodeDataChanged /removal/shared", () -> {
                    other.create("/removal/shared");
                    own.zk.getData("/removal/shared", true, null);
                    other.zk.getData("/removal/shared", true, null);
                    own.zk.removeAllWatches("/removal/shared", WatcherType.Any, false);
                    own.events();
                    own.set("/removal/shared", "1");
                    return own.events() + other.events();
                });
    }

    private static void without(Checks checks, Session other) {
        String name = "removal/without a connection only the client forgets";
        checks.check(name, "CONNECTIONLOSS OK | w:DataWatchRemoved /removal/away | ", () -> {
            other.create("/removal/away");
            try (Cable cable = new Cable(checks.address);
                    Session own = Session.open(cable.address)) {
                Watcher watcher = own.named("w");
                own.zk.getData("/removal/away", watcher, null);
                cable.cut();
                own.await(KeeperState.Disconnected);
                String seen = Checks.code(() -> own.zk.removeWatches(
                        "/removal/away", watcher, WatcherType.Data, false));
                seen += " " + Checks.code(() -> own.zk.removeWatches(
                        "/removal/away", watcher, WatcherType.Data, true));
                cable.mend();
                own.connected();
                seen += " | " + own.events();
                other.set("/removal/away", "1");
                return seen + " | " + own.events();
            }
        });
    }
}
