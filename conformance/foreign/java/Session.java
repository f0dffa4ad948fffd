import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/**
 * A client with a diary: every event of its watches, and every state its connection had.
 *
 * Keeps true: {@link #events} gives all that the server sent before it was called, since events
 * and callbacks go through one queue of the client in the order in which they arrived.
 */
final class Session implements Watcher, AutoCloseable {
    final ZooKeeper zk;
    private final List<String> events = Collections.synchronizedList(new ArrayList<>());
    private final List<KeeperState> states = Collections.synchronizedList(new ArrayList<>());
    private final Watcher unnamed = named("");

    private Session(String address, int timeoutMs) throws Exception {
        zk = new ZooKeeper(address, timeoutMs, this);
    }

    private Session(String address, int timeoutMs, long id, byte[] password) throws Exception {
        zk = new ZooKeeper(address, timeoutMs, this, id, password);
    }

    static Session open(String address) throws Exception {
        return open(address, 20_000);
    }

    static Session open(String address, int timeoutMs) throws Exception {
        return new Session(address, timeoutMs).connected();
    }

    /** Asks for a session by its id and password, whatever comes of it. */
    static Session again(String address, long id, byte[] password) throws Exception {
        return new Session(address, 20_000, id, password);
    }

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            states.add(event.getState());
        } else {
            unnamed.process(event);
        }
    }

    /** A watcher that writes into the diary under a name. */
    Watcher named(String name) {
        String prefix = name.isEmpty() ? "" : name + ":";
        return event -> {
            if (event.getType() != Event.EventType.None) {
                events.add(prefix + event.getType() + " " + event.getPath());
            }
        };
    }

    /** Writes a line of the caller's own into the diary. */
    void note(String line) {
        events.add(line);
    }

    /** Waits until the client has been told of this state, counted from the last call. */
    void await(KeeperState state) throws Exception {
        Checks.await(state.name(), () -> states.contains(state));
        synchronized (states) {
            states.subList(0, states.indexOf(state) + 1).clear();
        }
    }

    Session connected() throws Exception {
        await(KeeperState.SyncConnected);
        return this;
    }

    /** The events so far, which are then forgotten. */
    String events() throws Exception {
        CountDownLatch arrived = new CountDownLatch(1);
        zk.exists("/", false, (code, path, context, stat) -> arrived.countDown(), null);
        if (!arrived.await(Checks.LIMIT_MS, TimeUnit.MILLISECONDS)) {
            throw new AssertionError("no answer to exists");
        }
        synchronized (events) {
            String all = String.join(", ", events);
            events.clear();
            return all;
        }
    }

    /** Waits for a number of events that take their time. */
    String events(int count) throws Exception {
        Checks.await(count + " events", () -> events.size() >= count);
        return events();
    }

    String create(String path) throws Exception {
        return create(path, "", CreateMode.PERSISTENT);
    }

    String create(String path, String data, CreateMode mode) throws Exception {
        return zk.create(path, data.getBytes(), Ids.OPEN_ACL_UNSAFE, mode);
    }

    String text(String path) throws Exception {
        return new String(zk.getData(path, false, null));
    }

    void set(String path, String data) throws Exception {
        zk.setData(path, data.getBytes(), -1);
    }

    void delete(String path) throws Exception {
        zk.delete(path, -1);
    }

    boolean has(String path) throws Exception {
        return zk.exists(path, false) != null;
    }

    /** The names below a node, in order. */
    List<String> names(String path) throws Exception {
        List<String> names = zk.getChildren(path, false);
        Collections.sort(names);
        return names;
    }

    /** Ends the session, or without a connection the client alone. */
    @Override
    public void close() throws InterruptedException {
        zk.close();
    }
}
