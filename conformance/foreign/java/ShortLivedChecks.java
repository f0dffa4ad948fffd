import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Containers and nodes with a time to live: when the server takes them away, and when not. */
final class ShortLivedChecks {
    private ShortLivedChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session session = Session.open(checks.address)) {
            session.create("/short");
            containers(checks, session);
            lifetimes(checks, session);
        }
    }

    private static String withTtl(Session session, String path, CreateMode mode, long ttl)
            throws Exception {
        return session.zk.create(path, new byte[0], Ids.OPEN_ACL_UNSAFE, mode, new Stat(), ttl);
    }

    private static void containers(Checks checks, Session session) {
        checks.check("short/a container goes after its last child",
                "NodeCreated /short/c, NodeCreated /short/c/1, NodeCreated /short/c/2, "
                        + "NodeDeleted /short/c/1, NodeDeleted /short/c/2, NodeDeleted /short/c",
                () -> {
                    session.zk.addWatch("/short/c", AddWatchMode.PERSISTENT_RECURSIVE);
                    session.create("/short/c", "", CreateMode.CONTAINER);
                    session.create("/short/c/1");
                    session.create("/short/c/2");
                    session.delete("/short/c/1");
                    session.delete("/short/c/2");
                    return session.events(6);
                });
        checks.check("short/containers within containers go from below", "true false false", () -> {
            session.create("/short/outer", "", CreateMode.CONTAINER);
            session.create("/short/outer/inner", "", CreateMode.CONTAINER);
            session.create("/short/outer/inner/leaf");
            String seen = "" + session.has("/short/outer/inner");
            session.delete("/short/outer/inner/leaf");
            Checks.await("the outer container's end", () -> !session.has("/short/outer"));
            return seen + " " + session.has("/short/outer/inner") + " "
                    + session.has("/short/outer");
        });
        checks.check("short/a container that never had a child stays", "true", () -> {
            session.create("/short/fresh", "", CreateMode.CONTAINER);
            session.create("/short/used", "", CreateMode.CONTAINER);
            session.create("/short/used/1");
            session.delete("/short/used/1");
            // The same walk that takes one passes the other.
            Checks.await("the used one's end", () -> !session.has("/short/used"));
            return session.has("/short/fresh");
        });
        checks.check("short/a container is not an ephemeral", "0 0", () -> {
            Stat stat = session.zk.exists("/short/fresh", false);
            return stat.getEphemeralOwner() + " "
                    + session.zk.getEphemerals().size();
        });
    }

    private static void lifetimes(Checks checks, Session session) {
        checks.check("short/a node with a time to live goes",
                "NodeCreated /short/ttl, NodeDeleted /short/ttl", () -> {
                    session.zk.addWatch("/short/ttl", AddWatchMode.PERSISTENT);
                    withTtl(session, "/short/ttl", CreateMode.PERSISTENT_WITH_TTL, 100);
                    return session.events(2);
                });
        checks.check("short/its children keep it",
                "true NodeChildrenChanged /short/kept, NodeDeleted /short/kept", () -> {
                    // At once, since it could be gone before its child comes.
                    session.zk.multi(List.of(
                            Op.create("/short/kept", new byte[0], Ids.OPEN_ACL_UNSAFE,
                                    CreateMode.PERSISTENT_WITH_TTL, 1),
                            Op.create("/short/kept/1", new byte[0], Ids.OPEN_ACL_UNSAFE,
                                    CreateMode.PERSISTENT)));
                    withTtl(session, "/short/clock", CreateMode.PERSISTENT_WITH_TTL, 1);
                    Checks.await("another's end", () -> !session.has("/short/clock"));
                    String seen = session.has("/short/kept") + " ";
                    session.zk.addWatch("/short/kept", AddWatchMode.PERSISTENT);
                    session.delete("/short/kept/1");
                    return seen + session.events(2);
                });
        checks.check("short/numbered ones go too", "/short/ttl-00000000 true", () -> {
            String path = withTtl(
                    session, "/short/ttl-", CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, 100);
            Checks.await("its end", () -> !session.has(path));
            return path.substring(0, path.length() - 2) + " " + !session.has(path);
        });
        checks.check("short/a change starts the time again", "true", () -> {
            withTtl(session, "/short/touched", CreateMode.PERSISTENT_WITH_TTL, 3_000);
            withTtl(session, "/short/left", CreateMode.PERSISTENT_WITH_TTL, 3_000);
            // As long as it is written to, it outlives one of the same time that is left alone.
            Checks.await("the other's end", () -> {
                session.set("/short/touched", "again");
                return !session.has("/short/left");
            });
            return session.has("/short/touched");
        });
        checks.check("short/the client refuses lifetimes that cannot be",
                "IllegalArgumentException IllegalArgumentException IllegalArgumentException", () ->
                        Checks.code(() -> withTtl(
                                session, "/short/0", CreateMode.PERSISTENT_WITH_TTL, 0))
                        + " " + Checks.code(() -> withTtl(
                                session, "/short/0", CreateMode.PERSISTENT_WITH_TTL, 1L << 40))
                        + " " + Checks.code(() -> withTtl(
                                session, "/short/0", CreateMode.PERSISTENT, 5)));
    }
}
