import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** The server is killed without warning while clients write: what they keep, and what they may. */
final class CrashChecks {
    /** Kills the server, and returns when it runs again. */
    interface Crash {
        void run() throws Exception;
    }

    /** Longer than a server may take to come back on a busy machine. */
    private static final int TIMEOUT_MS = 60_000;

    private CrashChecks() {}

    static void run(Checks checks, Crash crash) throws Exception {
        try (Cable cable = new Cable(checks.address);
                Session own = Session.open(checks.address, TIMEOUT_MS);
                Session writer = Session.open(checks.address, TIMEOUT_MS);
                CuratorFramework curator = Curator.client(checks.address, TIMEOUT_MS)) {
            prepare(own);
            Session gone = Session.open(cable.address, 2_000);
            gone.create("/crash/gone", "", CreateMode.EPHEMERAL);
            Session closed = Session.open(checks.address);
            closed.create("/crash/closed", "", CreateMode.EPHEMERAL);
            closed.close();

            Session left = Session.open(cable.address, TIMEOUT_MS);
            left.create("/crash/left", "", CreateMode.EPHEMERAL);

            InterProcessMutex mutex = new InterProcessMutex(curator, "/crash/mutex");
            mutex.acquire();
            LeaderLatch latch = new LeaderLatch(curator, "/crash/latch", "a");
            latch.start();
            Checks.await("a leader", latch::hasLeadership);
            CuratorCache cache = CuratorCache.build(curator, "/crash/cache");
            cache.start();
            Checks.await("the cache", () -> cache.size() == 1);

            long id = own.zk.getSessionId();
            Load load = new Load(writer);
            load.start();
            cable.cut();
            crash.run();
            load.finish();

            sessions(checks, own, gone, id);
            reattached(checks, left);
            contents(checks, own, load);
            shortLived(checks, own);
            watches(checks, own, writer);
            recipes(checks, own, curator, mutex, latch, cache);
            latch.close();
            cache.close();
            cable.mend();
            gone.close();
            left.close();
        }
    }

    private static void prepare(Session own) throws Exception {
        own.create("/crash");
        for (String name : new String[] {"data", "children", "p", "r", "pairs", "acked", "cache"}) {
            own.create("/crash/" + name);
        }
        own.create("/crash/box", "", CreateMode.CONTAINER);
        own.create("/crash/box/1");
        // Its child keeps it, however long the server takes to come back.
        own.zk.multi(List.of(
                Op.create("/crash/ttl", new byte[0], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_WITH_TTL, 1),
                Op.create("/crash/ttl/1", new byte[0], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT)));
        own.create("/crash/mine", "kept", CreateMode.EPHEMERAL);
        own.zk.getData("/crash/data", true, null);
        own.zk.getChildren("/crash/children", true);
        own.zk.exists("/crash/awaited", true);
        own.zk.addWatch("/crash/p", own.named("p"), AddWatchMode.PERSISTENT);
        own.zk.addWatch("/crash/r", own.named("r"), AddWatchMode.PERSISTENT_RECURSIVE);
    }

    private static void sessions(Checks checks, Session own, Session gone, long id) {
        String name = "crash/the client comes back by itself, with its session";
        checks.check(name, "true 60000", () -> {
            own.await(KeeperState.Disconnected);
            own.connected();
            return (own.zk.getSessionId() == id) + " " + own.zk.getSessionTimeout();
        });
        checks.check("crash/its ephemeral is there", "kept true [/crash/mine]", () ->
                own.text("/crash/mine") + " "
                        + (own.zk.exists("/crash/mine", false).getEphemeralOwner() == id) + " "
                        + own.zk.getEphemerals());
        checks.check("crash/a session that was closed stays closed", "false", () ->
                own.has("/crash/closed"));
        checks.check("crash/a session whose client is gone expires", "false", () -> {
            Checks.await("the expiry", () -> !own.has("/crash/gone"));
            return own.has("/crash/gone");
        });
    }

    private static void reattached(Checks checks, Session left) {
        checks.check("crash/another client reattaches to a session of before",
                "true [/crash/left] Expired", () -> {
                    long id = left.zk.getSessionId();
                    String seen;
                    try (Session again = Session.again(
                            checks.address, id, left.zk.getSessionPasswd()).connected()) {
                        seen = (again.zk.getSessionId() == id) + " " + again.zk.getEphemerals();
                        byte[] wrong = new byte[16];
                        try (Session thief = Session.again(checks.address, id, wrong)) {
                            thief.await(KeeperState.Expired);
                        }
                    }
                    return seen + " Expired";
                });
    }

    private static void shortLived(Checks checks, Session own) {
        checks.check("crash/containers and lifetimes are known again",
                "true true false false", () -> {
                    String seen = own.has("/crash/box") + " " + own.has("/crash/ttl") + " ";
                    own.delete("/crash/box/1");
                    own.delete("/crash/ttl/1");
                    Checks.await("the container's end", () -> !own.has("/crash/box"));
                    Checks.await("the end of its time", () -> !own.has("/crash/ttl"));
                    return seen + own.has("/crash/box") + " " + own.has("/crash/ttl");
                });
    }

    private static void contents(Checks checks, Session own, Load load) {
        checks.check("crash/what was acknowledged is there", "true []", () -> {
            Set<String> missing = new TreeSet<>(load.acknowledged);
            missing.removeAll(own.zk.getChildren("/crash/acked", false));
            return (load.acknowledged.size() >= Load.BEFORE) + " " + missing;
        });
        checks.check("crash/a multi is there whole or not at all", "true", () -> {
            List<String> names = own.names("/crash/pairs");
            return names.stream().allMatch(name -> names.contains(
                    (name.startsWith("l") ? "r" : "l") + name.substring(1)));
        });
        checks.check("crash/numbers go on", "true", () -> {
            String last = own.names("/crash/acked").get(own.names("/crash/acked").size() - 1);
            String next = own.create("/crash/acked/n", "", CreateMode.PERSISTENT_SEQUENTIAL);
            return next.compareTo("/crash/acked/" + last) > 0;
        });
    }

    private static void watches(Checks checks, Session own, Session writer) {
        checks.check("crash/watches are set again and fire",
                "NodeDataChanged /crash/data, NodeChildrenChanged /crash/children, "
                        + "NodeCreated /crash/awaited, p:NodeDataChanged /crash/p, "
                        + "r:NodeCreated /crash/r/1, r:NodeDeleted /crash/r/1",
                () -> {
                    Checks.await("the writer", () -> writer.zk.getState().isConnected());
                    own.events();
                    writer.set("/crash/data", "1");
                    writer.create("/crash/children/1");
                    writer.create("/crash/awaited");
                    writer.set("/crash/p", "1");
                    writer.create("/crash/r/1");
                    writer.delete("/crash/r/1");
                    return own.events();
                });
    }

    private static void recipes(Checks checks, Session own, CuratorFramework curator,
            InterProcessMutex mutex, LeaderLatch latch, CuratorCache cache) {
        checks.check("crash/a mutex of curator's is still held, and given back", "true 1 true",
                () -> {
                    Checks.await("a connection", () -> curator.getZookeeperClient().isConnected());
                    String seen = mutex.isAcquiredInThisProcess() + " "
                            + own.names("/crash/mutex").size();
                    mutex.release();
                    // Its parent is a container, which may be gone already.
                    Stat parent = own.zk.exists("/crash/mutex", false);
                    return seen + " " + (parent == null || parent.getNumChildren() == 0);
                });
        checks.check("crash/a latch of curator's leads again", "a 1", () -> {
            Checks.await("the leader", latch::hasLeadership);
            return latch.getLeader().getId() + " " + latch.getParticipants().size();
        });
        checks.check("crash/a cache of curator's goes on", "{/crash/cache=, /crash/cache/1=new}",
                () -> {
                    own.create("/crash/cache/1", "new", CreateMode.PERSISTENT);
                    Checks.await("the new node", () -> cache.size() == 2);
                    return CuratorCacheChecks.content(cache);
                });
    }

    /** Writes without a pause, and notes what was acknowledged. */
    private static final class Load {
        /** How many are acknowledged before the server may be killed. */
        static final int BEFORE = 300;
        private static final int UNDERWAY = 64;

        final Set<String> acknowledged = new ConcurrentSkipListSet<>();
        private final Session session;
        private final Semaphore free = new Semaphore(UNDERWAY);
        private volatile boolean failed;
        private Thread thread;

        Load(Session session) {
            this.session = session;
        }

        void start() throws Exception {
            thread = new Thread(this::write);
            thread.start();
            Checks.await("some load", () -> acknowledged.size() >= BEFORE);
        }

        private void write() {
            for (int i = 0; !failed; i++) {
                free.acquireUninterruptibly(2);
                session.zk.create("/crash/acked/n", new byte[100], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_SEQUENTIAL, (code, path, c, name) -> {
                            failed |= code != 0;
                            if (code == 0) {
                                acknowledged.add(name.substring("/crash/acked/".length()));
                            }
                            free.release();
                        }, null);
                session.zk.multi(List.of(pair("l" + i), pair("r" + i)), (code, p, c, results) -> {
                    failed |= code != 0;
                    free.release();
                }, null);
            }
        }

        private static Op pair(String name) {
            return Op.create("/crash/pairs/" + name, new byte[10], Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT);
        }

        /** The first error ends it: the connection was lost. */
        void finish() throws Exception {
            thread.join(Checks.LIMIT_MS);
            if (!free.tryAcquire(UNDERWAY, Checks.LIMIT_MS, TimeUnit.MILLISECONDS)) {
                throw new AssertionError("answers are missing");
            }
        }
    }
}
