import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooDefs.Ids;

/** Values near the limit of a request, which is 1,048,575 bytes with its header, and beyond. */
final class LimitChecks {
    private static final int LIMIT = 0xf_ffff;

    private LimitChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session session = Session.open(checks.address)) {
            session.create("/limits");
            near(checks, session);
            wide(checks, session);
            beyond(checks, session);
        }
    }

    /** The data that make a setData request of exactly this length. */
    private static byte[] filling(String path, int request) {
        // Header 8, the path with its length, the data's length, the version.
        byte[] data = new byte[request - 8 - 4 - path.length() - 4 - 4];
        Arrays.fill(data, (byte) 'x');
        return data;
    }

    private static void near(Checks checks, Session session) {
        checks.check("limits/the longest request is taken", "OK true", () -> {
            session.create("/limits/long");
            byte[] data = filling("/limits/long", LIMIT);
            return Checks.code(() -> session.zk.setData("/limits/long", data, 0)) + " "
                    + (session.zk.exists("/limits/long", false).getDataLength() == data.length);
        });
        checks.check("limits/a value of a megabyte less a little comes back", "true", () -> {
            byte[] data = new byte[1_000_000];
            Arrays.fill(data, (byte) 7);
            session.zk.create("/limits/big", data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            return Arrays.equals(data, session.zk.getData("/limits/big", false, null));
        });
        checks.check("limits/twenty of them in a row", "20", () -> {
            byte[] data = new byte[1_000_000];
            int[] good = new int[1];
            for (int i = 0; i < 20; i++) {
                session.zk.setData("/limits/big", data, i, (code, path, c, stat) ->
                        good[0] += code == 0 ? 1 : 0, null);
            }
            session.events();
            return good[0];
        });
    }

    private static void wide(Checks checks, Session session) {
        checks.check("limits/a multi of two thousand parts", "2000 2000", () -> {
            session.create("/limits/wide");
            List<Op> parts = new ArrayList<>();
            for (int i = 0; i < 2_000; i++) {
                parts.add(Op.create("/limits/wide/n", new byte[10], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_SEQUENTIAL));
            }
            int results = session.zk.multi(parts).size();
            return results + " " + session.names("/limits/wide").size();
        });
        checks.check("limits/a path of a hundred names", "100 99", () -> {
            StringBuilder path = new StringBuilder("/limits/deep");
            session.create(path.toString());
            for (int i = 1; i < 100; i++) {
                session.create(path.append("/level").toString());
            }
            return (path.toString().split("/").length - 2) + " "
                    + session.zk.getAllChildrenNumber("/limits/deep");
        });
    }

    private static void beyond(Checks checks, Session session) {
        checks.differs("limits/a request beyond the limit",
                "CONNECTIONLOSS", "MARSHALLINGERROR", () -> {
                    session.create("/limits/beyond");
                    byte[] data = filling("/limits/beyond", LIMIT + 1);
                    return Checks.code(() -> session.zk.setData("/limits/beyond", data, 0));
                });
        checks.differs("limits/a multi beyond it, whose answer is a callback's",
                "CONNECTIONLOSS", "MARSHALLINGERROR", () -> {
                    Checks.await("the connection", () -> Checks.code(() ->
                            session.has("/")).equals("OK"));
                    CompletableFuture<Integer> seen = new CompletableFuture<>();
                    session.zk.multi(List.of(
                            Op.setData("/limits/beyond", new byte[LIMIT], 0)),
                            (code, path, c, results) -> seen.complete(code), null);
                    return KeeperException.Code.get(
                            seen.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS));
                });
        checks.check("limits/the session goes on after it", "0", () -> {
            Checks.await("the connection", () -> Checks.code(() ->
                    session.has("/")).equals("OK"));
            return session.zk.exists("/limits/beyond", false).getVersion();
        });
    }
}
