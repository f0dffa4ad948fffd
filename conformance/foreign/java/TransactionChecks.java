import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.OpCode;
import org.apache.zookeeper.data.Stat;

/** Several operations as one: results by type, errors by place, and nothing done by halves. */
final class TransactionChecks {
    private TransactionChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session session = Session.open(checks.address)) {
            session.create("/multi");
            results(checks, session);
            errors(checks, session);
            reads(checks, session);
        }
    }

    private static Op create(String path, CreateMode mode) {
        return Op.create(path, "d".getBytes(), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static void results(Checks checks, Session session) {
        checks.check("multi/the transaction interface gives a result for each",
                "create /multi/t, set 1, check, delete", () -> text(session.zk.transaction()
                        .create("/multi/t", new byte[0], Ids.OPEN_ACL_UNSAFE,
                                CreateMode.PERSISTENT)
                        .setData("/multi/t", "1".getBytes(), 0)
                        .check("/multi/t", 1)
                        .delete("/multi/t", 1)
                        .commit()));
        checks.check("multi/every kind of node",
                "create /multi/s0000000001, create /multi/e, create /multi/es0000000003, "
                        + "create2 /multi/c, create2 /multi/ttl, create2 /multi/ttls0000000006",
                () -> text(session.zk.multi(List.of(
                        create("/multi/s", CreateMode.PERSISTENT_SEQUENTIAL),
                        create("/multi/e", CreateMode.EPHEMERAL),
                        create("/multi/es", CreateMode.EPHEMERAL_SEQUENTIAL),
                        create("/multi/c", CreateMode.CONTAINER),
                        Op.create("/multi/ttl", new byte[0], Ids.OPEN_ACL_UNSAFE,
                                CreateMode.PERSISTENT_WITH_TTL, 600_000),
                        Op.create("/multi/ttls", new byte[0], Ids.OPEN_ACL_UNSAFE,
                                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, 600_000)))));
        checks.check("multi/one change, one zxid", "true true 2", () -> {
            session.zk.multi(List.of(create("/multi/z1", CreateMode.PERSISTENT),
                    create("/multi/z2", CreateMode.PERSISTENT),
                    Op.setData("/multi/z1", new byte[0], 0),
                    Op.setData("/multi/z1", new byte[0], 1)));
            Stat one = session.zk.exists("/multi/z1", false);
            Stat two = session.zk.exists("/multi/z2", false);
            return (one.getCzxid() == two.getCzxid()) + " " + (one.getMzxid() == one.getCzxid())
                    + " " + one.getVersion();
        });
        checks.check("multi/of nothing", "[]", () -> session.zk.multi(List.of()));
        checks.check("multi/its results name paths from the server's root",
                "create /multi/in, create2 /multi/box", () -> {
            try (Session own = Session.open(checks.address + "/multi")) {
                return text(own.zk.multi(List.of(create("/in", CreateMode.PERSISTENT),
                        create("/box", CreateMode.CONTAINER))));
            }
        });
    }

    private static void errors(Checks checks, Session session) {
        checks.check("multi/an error undoes all and names its place",
                "NODEEXISTS: OK, NODEEXISTS, RUNTIMEINCONSISTENCY; false", () -> failure(session,
                        create("/multi/first", CreateMode.PERSISTENT),
                        create("/multi", CreateMode.PERSISTENT),
                        create("/multi/last", CreateMode.PERSISTENT))
                        + "; " + session.has("/multi/first"));
        checks.check("multi/a version that is not there",
                "BADVERSION: OK, BADVERSION; 0", () -> failure(session,
                        Op.setData("/multi", "undone".getBytes(), 0), Op.check("/multi", 0))
                        + "; " + session.zk.exists("/multi", false).getVersion());
        checks.check("multi/a check of a missing node",
                "NONODE: NONODE, RUNTIMEINCONSISTENCY", () -> failure(session,
                        Op.check("/multi/none", -1), create("/multi/x", CreateMode.PERSISTENT)));
        checks.check("multi/what an earlier part did counts for the later ones",
                "NOTEMPTY: OK, OK, NOTEMPTY", () -> failure(session,
                        create("/multi/up", CreateMode.PERSISTENT),
                        create("/multi/up/down", CreateMode.PERSISTENT),
                        Op.delete("/multi/up", -1)));
        checks.check("multi/a child of an ephemeral",
                "NOCHILDRENFOREPHEMERALS: OK, NOCHILDRENFOREPHEMERALS", () -> failure(session,
                        create("/multi/eph", CreateMode.EPHEMERAL),
                        create("/multi/eph/child", CreateMode.PERSISTENT)));
        checks.check("multi/what is undone takes no number",
                "/multi/count/n0000000000 NONODE: OK, NONODE /multi/count/n0000000001", () -> {
                    session.create("/multi/count");
                    String seen = session.create(
                            "/multi/count/n", "", CreateMode.PERSISTENT_SEQUENTIAL);
                    seen += " " + failure(session,
                            create("/multi/count/n", CreateMode.PERSISTENT_SEQUENTIAL),
                            Op.delete("/multi/none", -1));
                    return seen + " " + session.create(
                            "/multi/count/n", "", CreateMode.PERSISTENT_SEQUENTIAL);
                });
        checks.check("multi/an error reaches the callback of a multi too",
                "NONODE: OK, NONODE, RUNTIMEINCONSISTENCY", () -> {
                    CompletableFuture<String> seen = new CompletableFuture<>();
                    session.zk.multi(List.of(Op.check("/multi", -1), Op.delete("/multi/none", -1),
                            create("/multi/y", CreateMode.PERSISTENT)),
                            (code, path, context, results) -> seen.complete(
                                    KeeperException.Code.get(code) + ": " + text(results)), null);
                    return seen.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                });
        checks.check("multi/a failed one tells no watch", "NodeDataChanged /multi/z1", () -> {
            session.zk.getData("/multi/z1", true, null);
            session.zk.exists("/multi/z3", true);
            failure(session, create("/multi/z3", CreateMode.PERSISTENT),
                    Op.setData("/multi/z1", new byte[0], 77));
            session.set("/multi/z1", "");
            return session.events();
        });
    }

    private static void reads(Checks checks, Session session) {
        checks.check("multi/reads answer each for itself",
                "data 'seen' 1, children [1, 2], NONODE, data '' 0, NONODE", () -> {
                    session.create("/multi/read");
                    session.set("/multi/read", "seen");
                    session.create("/multi/read/1");
                    session.create("/multi/read/2");
                    return text(session.zk.multi(List.of(Op.getData("/multi/read"),
                            Op.getChildren("/multi/read"), Op.getData("/multi/none"),
                            Op.getData("/multi/read/1"), Op.getChildren("/multi/none"))));
                });
        checks.check("multi/reads and writes do not mix", "IllegalArgumentException", () ->
                Checks.code(() -> session.zk.multi(
                        List.of(Op.getData("/multi"), Op.delete("/multi/read/1", -1)))));
    }

    private static String failure(Session session, Op... ops) throws Exception {
        try {
            return text(session.zk.multi(List.of(ops)));
        } catch (KeeperException e) {
            return e.code() + ": " + text(e.getResults());
        }
    }

    private static String text(List<OpResult> results) {
        List<String> all = new ArrayList<>();
        for (OpResult result : results) {
            all.add(text(result));
        }
        return String.join(", ", all);
    }

    private static String text(OpResult result) {
        if (result instanceof OpResult.CreateResult made) {
            return (made.getType() == OpCode.create ? "create " : "create2 ") + made.getPath()
                    + (made.getStat() == null || made.getStat().getCzxid() > 0 ? "" : " no stat");
        } else if (result instanceof OpResult.SetDataResult set) {
            return "set " + set.getStat().getVersion();
        } else if (result instanceof OpResult.DeleteResult) {
            return "delete";
        } else if (result instanceof OpResult.CheckResult) {
            return "check";
        } else if (result instanceof OpResult.GetDataResult got) {
            return "data '" + new String(got.getData()) + "' " + got.getStat().getVersion();
        } else if (result instanceof OpResult.GetChildrenResult got) {
            return "children " + got.getChildren().stream().sorted().toList();
        } else if (result instanceof OpResult.ErrorResult error) {
            return String.valueOf(KeeperException.Code.get(error.getErr()));
        }
        return result.toString();
    }
}
