import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;

/** Calls that do not wait: their answers come in the order of the calls, and fit each other. */
final class OrderChecks {
    private static final int ROUNDS = 500;

    private OrderChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session session = Session.open(checks.address)) {
            session.create("/order");
            pipelined(checks, session);
            mixed(checks, session);
            closing(checks);
            several(checks, session);
        }
    }

    private static void pipelined(Checks checks, Session session) {
        checks.check("order/a read sees the write before it, and none after", "1000 true", () -> {
            session.create("/order/rw");
            List<Integer> versions = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch done = new CountDownLatch(2 * ROUNDS);
            for (int i = 0; i < ROUNDS; i++) {
                session.zk.setData("/order/rw", new byte[0], -1, (code, path, c, stat) -> {
                    versions.add(stat.getVersion());
                    done.countDown();
                }, null);
                session.zk.getData("/order/rw", false, (code, path, c, data, stat) -> {
                    versions.add(stat.getVersion());
                    done.countDown();
                }, null);
            }
            wait(done);
            boolean fit = true;
            for (int i = 0; i < ROUNDS; i++) {
                fit &= versions.get(2 * i) == i + 1 && versions.get(2 * i + 1) == i + 1;
            }
            return versions.size() + " " + fit;
        });
        checks.check("order/errors keep their places", "true", () -> {
            List<Code> codes = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch done = new CountDownLatch(3 * ROUNDS);
            for (int i = 0; i < ROUNDS; i++) {
                session.zk.create("/order/place", new byte[0], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT, (code, path, c, name) -> {
                            codes.add(Code.get(code));
                            done.countDown();
                        }, null);
                session.zk.exists("/order/never", false, (code, path, c, stat) -> {
                    codes.add(Code.get(code));
                    done.countDown();
                }, null);
                session.zk.delete("/order/place", i % 2 == 0 ? 5 : 0, (code, path, c) -> {
                    codes.add(Code.get(code));
                    done.countDown();
                }, null);
            }
            wait(done);
            List<Code> expected = new ArrayList<>();
            for (int i = 0; i < ROUNDS; i++) {
                boolean even = i % 2 == 0;
                expected.add(even ? Code.OK : Code.NODEEXISTS);
                expected.add(Code.NONODE);
                expected.add(even ? Code.BADVERSION : Code.OK);
            }
            return codes.equals(expected);
        });
    }

    private static void mixed(Checks checks, Session session) {
        checks.check("order/every kind of call in one row",
                "create2 OK, children 1, sync OK, multi OK, acl OK, setacl OK, count 1, "
                        + "ephemerals 0, exists OK, delete NOTEMPTY, config OK",
                () -> {
                    String path = "/order/mixed";
                    var zk = session.zk;
                    zk.create(path, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                            (code, p, c, name, stat) -> session.note("create2 " + Code.get(code)),
                            null);
                    zk.create(path + "/1", new byte[0], Ids.OPEN_ACL_UNSAFE,
                            CreateMode.PERSISTENT, (code, p, c, name) -> { }, null);
                    zk.getChildren(path, false,
                            (code, p, c, names, stat) -> session.note("children " + names.size()),
                            null);
                    zk.sync(path, (code, p, c) -> session.note("sync " + Code.get(code)), null);
                    zk.multi(List.of(org.apache.zookeeper.Op.check(path, 0)),
                            (code, p, c, results) -> session.note("multi " + Code.get(code)),
                            null);
                    zk.getACL(path, null,
                            (code, p, c, list, stat) -> session.note("acl " + Code.get(code)),
                            null);
                    zk.setACL(path, Ids.OPEN_ACL_UNSAFE, 0,
                            (code, p, c, stat) -> session.note("setacl " + Code.get(code)), null);
                    zk.getAllChildrenNumber(path,
                            (code, p, c, count) -> session.note("count " + count), null);
                    zk.getEphemerals(
                            (code, c, paths) -> session.note("ephemerals " + paths.size()), null);
                    zk.exists(path, false,
                            (code, p, c, stat) -> session.note("exists " + Code.get(code)), null);
                    zk.delete(path, -1,
                            (code, p, c) -> session.note("delete " + Code.get(code)), null);
                    zk.getConfig(false,
                            (code, p, c, data, stat) -> session.note("config " + Code.get(code)),
                            null);
                    return session.events();
                });
    }

    private static void closing(Checks checks) {
        checks.check("order/what was asked before close is answered", "300", () -> {
            Session session = Session.open(checks.address);
            List<Integer> codes = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch done = new CountDownLatch(300);
            for (int i = 0; i < 300; i++) {
                session.zk.create("/order/close-", new byte[0], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.EPHEMERAL_SEQUENTIAL, (code, path, c, name) -> {
                            codes.add(code);
                            done.countDown();
                        }, null);
            }
            session.close();
            wait(done);
            return codes.stream().filter(code -> code == 0).count();
        });
    }

    private static void several(Checks checks, Session session) {
        checks.check("order/four clients count together without a loss", "400", () -> {
            session.create("/order/counter");
            session.set("/order/counter", "0");
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                Thread thread = new Thread(() -> {
                    try (Session own = Session.open(checks.address)) {
                        for (int done = 0; done < 100; ) {
                            var stat = new org.apache.zookeeper.data.Stat();
                            byte[] data = own.zk.getData("/order/counter", false, stat);
                            int next = Integer.parseInt(new String(data)) + 1;
                            String code = Checks.code(() -> own.zk.setData("/order/counter",
                                    String.valueOf(next).getBytes(), stat.getVersion()));
                            done += code.equals("OK") ? 1 : 0;
                        }
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join(Checks.LIMIT_MS);
            }
            return session.text("/order/counter");
        });
    }

    private static void wait(CountDownLatch done) throws Exception {
        if (!done.await(Checks.LIMIT_MS, TimeUnit.MILLISECONDS)) {
            throw new AssertionError(done.getCount() + " answers are missing");
        }
    }
}
