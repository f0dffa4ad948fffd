import java.util.Arrays;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Sessions: what is negotiated, who may come back to one, how one moves and ends. */
final class SessionChecks {
    private SessionChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session other = Session.open(checks.address)) {
            other.create("/sessions");
            negotiation(checks);
            coming(checks, other);
            moving(checks, other);
            moved(checks, other);
            ending(checks, other);
        }
    }

    private static void negotiation(Checks checks) {
        checks.check("sessions/timeouts lie between the server's bounds", "1000 5000 60000", () -> {
            try (Session low = Session.open(checks.address, 100);
                    Session middle = Session.open(checks.address, 5_000);
                    Session high = Session.open(checks.address, 120_000)) {
                return low.zk.getSessionTimeout() + " " + middle.zk.getSessionTimeout() + " "
                        + high.zk.getSessionTimeout();
            }
        });
        checks.check("sessions/ids and passwords are of their own", "true true 16 true", () -> {
            try (Session one = Session.open(checks.address);
                    Session two = Session.open(checks.address)) {
                byte[] password = one.zk.getSessionPasswd();
                return (one.zk.getSessionId() != 0) + " "
                        + (one.zk.getSessionId() != two.zk.getSessionId()) + " " + password.length
                        + " " + !Arrays.equals(password, two.zk.getSessionPasswd());
            }
        });
        checks.check("sessions/a client that may read only writes here", "CONNECTED 1", () -> {
            try (Session one = Session.open(checks.address)) {
                ZooKeeper zk = new ZooKeeper(checks.address, 5_000, event -> { }, true);
                Checks.await("a connection", () -> zk.getState().isConnected());
                one.create("/sessions/writes");
                Stat stat = zk.setData("/sessions/writes", new byte[0], -1);
                String seen = zk.getState() + " " + stat.getVersion();
                zk.close();
                return seen;
            }
        });
    }

    private static void coming(Checks checks, Session other) {
        checks.check("sessions/an ephemeral outlives a reconnect", "true true 20000", () -> {
            try (Cable cable = new Cable(checks.address);
                    Session session = Session.open(cable.address)) {
                session.create("/sessions/reconnect", "", CreateMode.EPHEMERAL);
                long id = session.zk.getSessionId();
                cable.cut();
                session.await(KeeperState.Disconnected);
                cable.mend();
                session.connected();
                Stat stat = session.zk.exists("/sessions/reconnect", false);
                return (id == session.zk.getSessionId()) + " " + (stat.getEphemeralOwner() == id)
                        + " " + session.zk.getSessionTimeout();
            }
        });
        checks.check("sessions/another client reattaches by id and password", "true true", () -> {
            try (Cable cable = new Cable(checks.address)) {
                Session first = Session.open(cable.address);
                first.create("/sessions/reattach", "", CreateMode.EPHEMERAL);
                cable.cut();
                first.await(KeeperState.Disconnected);
                long id = first.zk.getSessionId();
                try (Session second =
                        Session.again(checks.address, id, first.zk.getSessionPasswd())) {
                    second.connected();
                    return (second.zk.getSessionId() == id) + " "
                            + second.has("/sessions/reattach");
                }
            }
        });
        checks.check("sessions/a wrong password expires the client alone", "Expired true", () -> {
            try (Session session = Session.open(checks.address)) {
                session.create("/sessions/password", "", CreateMode.EPHEMERAL);
                byte[] wrong = session.zk.getSessionPasswd().clone();
                wrong[3] ^= 1;
                try (Session thief =
                        Session.again(checks.address, session.zk.getSessionId(), wrong)) {
                    thief.await(KeeperState.Expired);
                }
                return "Expired " + other.has("/sessions/password");
            }
        });
        checks.check("sessions/an id that nobody has expires", "Expired CLOSED", () -> {
            try (Session lost = Session.again(checks.address, 0x1234_5678_9abcL, new byte[16])) {
                lost.await(KeeperState.Expired);
                return "Expired " + lost.zk.getState();
            }
        });
    }

    private static void moving(Checks checks, Session other) {
        String name = "sessions/a session moves from one client to the next and back";
        checks.check(name, "Disconnected true, Disconnected true, Expired false", () -> {
            try (Cable left = new Cable(checks.address); Cable right = new Cable(checks.address)) {
                Session first = Session.open(left.address);
                first.create("/sessions/moves", "", CreateMode.EPHEMERAL);
                long id = first.zk.getSessionId();
                byte[] password = first.zk.getSessionPasswd();
                // Neither may come back before it is told to: each would take it from the other.
                left.hold();
                Session second = Session.again(right.address, id, password).connected();
                first.await(KeeperState.Disconnected);
                String seen = "Disconnected " + second.has("/sessions/moves");
                right.hold();
                left.mend();
                first.connected();
                second.await(KeeperState.Disconnected);
                seen += ", Disconnected " + first.has("/sessions/moves");
                first.close();
                right.mend();
                second.await(KeeperState.Expired);
                return seen + ", Expired " + other.has("/sessions/moves");
            }
        });
    }

    private static void moved(Checks checks, Session other) {
        String name = "sessions/watches stay with the client, not with the session";
        checks.check(name, "second: '' first: NodeDataChanged /sessions/watched", () -> {
            other.create("/sessions/watched");
            try (Cable left = new Cable(checks.address); Cable right = new Cable(checks.address)) {
                Session first = Session.open(left.address);
                first.zk.getData("/sessions/watched", true, null);
                left.hold();
                Session second = Session.again(right.address, first.zk.getSessionId(),
                        first.zk.getSessionPasswd()).connected();
                first.await(KeeperState.Disconnected);
                other.set("/sessions/watched", "1");
                String seen = "second: '" + second.events() + "' first: ";
                right.hold();
                left.mend();
                first.connected();
                seen += first.events();
                first.close();
                right.mend();
                second.await(KeeperState.Expired);
                return seen;
            }
        });
    }

    private static void ending(Checks checks, Session other) {
        checks.check("sessions/close takes the ephemerals along", "false SESSIONEXPIRED", () -> {
            Session session = Session.open(checks.address);
            session.create("/sessions/closed", "", CreateMode.EPHEMERAL);
            session.close();
            return other.has("/sessions/closed") + " "
                    + Checks.code(() -> session.has("/sessions"));
        });
        String name = "sessions/silence expires a session, and its client is told";
        checks.check(name, "NodeDeleted /sessions/silent Expired SESSIONEXPIRED", () -> {
            try (Cable cable = new Cable(checks.address)) {
                Session session = Session.open(cable.address, 2_000);
                session.create("/sessions/silent", "", CreateMode.EPHEMERAL);
                other.zk.exists("/sessions/silent", true);
                cable.cut();
                String seen = other.events(1);
                cable.mend();
                session.await(KeeperState.Expired);
                return seen + " Expired " + Checks.code(() -> session.has("/sessions"));
            }
        });
        checks.check("sessions/an idle client is kept by its pings", "true", () -> {
            try (Session idle = Session.open(checks.address, 2_000)) {
                idle.create("/sessions/idle", "", CreateMode.EPHEMERAL);
                // Another session of the same timeout expires meanwhile, which takes that long.
                try (Cable cable = new Cable(checks.address)) {
                    Session silent = Session.open(cable.address, 2_000);
                    silent.create("/sessions/clock", "", CreateMode.EPHEMERAL);
                    cable.cut();
                    Checks.await("the expiry", () -> !other.has("/sessions/clock"));
                    silent.close();
                }
                return other.has("/sessions/idle");
            }
        });
    }
}
