import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.data.Stat;

/** Curator's locks, elections, barriers and counters: one at a time, and somebody always next. */
final class CuratorLockChecks {
    private CuratorLockChecks() {}

    static void run(Checks checks) throws Exception {
        try (CuratorFramework one = Curator.client(checks.address);
                CuratorFramework two = Curator.client(checks.address)) {
            one.create().forPath("/curator");
            mutex(checks, one, two);
            lost(checks, one);
            sharing(checks, one, two);
            leading(checks, one, two);
            together(checks, one, two);
        }
    }

    private static void mutex(Checks checks, CuratorFramework one, CuratorFramework two) {
        checks.check("curator/a mutex has one holder", "true false true true", () -> {
            InterProcessMutex first = new InterProcessMutex(one, "/curator/mutex");
            InterProcessMutex second = new InterProcessMutex(two, "/curator/mutex");
            String seen = first.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS) + " "
                    + second.acquire(1, TimeUnit.MILLISECONDS);
            Callable<Boolean> acquire =
                    () -> second.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            ExecutorService thread = Executors.newSingleThreadExecutor();
            Future<Boolean> waiting = thread.submit(acquire);
            Checks.await("the second in the queue",
                    () -> one.getChildren().forPath("/curator/mutex").size() == 2);
            first.release();
            seen += " " + waiting.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS) + " "
                    + second.isAcquiredInThisProcess();
            thread.submit(() -> {
                second.release();
                return null;
            }).get();
            thread.shutdown();
            return seen;
        });
        checks.check("curator/a mutex guards what several do, and its holders' zxids rise",
                "60 true", () -> {
                    one.create().forPath("/curator/sum", "0".getBytes());
                    List<Long> fences = new ArrayList<>();
                    ExecutorService threads = Executors.newFixedThreadPool(6);
                    List<Future<?>> all = new ArrayList<>();
                    for (int i = 0; i < 6; i++) {
                        CuratorFramework client = i % 2 == 0 ? one : two;
                        all.add(threads.submit(() -> {
                            add(client, fences);
                            return null;
                        }));
                    }
                    for (Future<?> each : all) {
                        each.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                    }
                    threads.shutdown();
                    boolean rising = true;
                    for (int i = 1; i < fences.size(); i++) {
                        rising &= fences.get(i - 1) < fences.get(i);
                    }
                    return Curator.text(one, "/curator/sum") + " " + rising;
                });
    }

    /** Ten times: takes the lock, notes the creation of its node, adds one to what it guards. */
    private static void add(CuratorFramework client, List<Long> fences) throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, "/curator/guard");
        for (int i = 0; i < 10; i++) {
            mutex.acquire();
            String holder = mutex.getParticipantNodes().iterator().next();
            fences.add(client.checkExists().forPath(holder).getCzxid());
            int value = Integer.parseInt(Curator.text(client, "/curator/sum"));
            client.setData().forPath("/curator/sum", String.valueOf(value + 1).getBytes());
            mutex.release();
        }
    }

    private static void lost(Checks checks, CuratorFramework other) {
        checks.check("curator/a mutex survives a lost connection", "SUSPENDED RECONNECTED false",
                () -> {
                    try (Cable cable = new Cable(checks.address);
                            CuratorFramework client = Curator.client(cable.address)) {
                        List<ConnectionState> states = states(client);
                        InterProcessMutex mutex = new InterProcessMutex(client, "/curator/keep");
                        mutex.acquire();
                        cable.cut();
                        Checks.await("SUSPENDED", () -> states.contains(ConnectionState.SUSPENDED));
                        cable.mend();
                        Checks.await("RECONNECTED",
                                () -> states.contains(ConnectionState.RECONNECTED));
                        boolean taken = new InterProcessMutex(other, "/curator/keep")
                                .acquire(1, TimeUnit.MILLISECONDS);
                        mutex.release();
                        return states.get(0) + " " + states.get(1) + " " + taken;
                    }
                });
        checks.check("curator/a mutex goes to the next when its holder expires",
                "true SUSPENDED LOST", () -> {
                    try (Cable cable = new Cable(checks.address);
                            CuratorFramework client = Curator.client(cable.address, 2_000)) {
                        List<ConnectionState> states = states(client);
                        new InterProcessMutex(client, "/curator/next").acquire();
                        cable.cut();
                        InterProcessMutex next = new InterProcessMutex(other, "/curator/next");
                        boolean taken = next.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                        next.release();
                        Checks.await("LOST", () -> states.contains(ConnectionState.LOST));
                        cable.mend();
                        return taken + " " + states.get(0) + " " + states.get(1);
                    }
                });
    }

    private static List<ConnectionState> states(CuratorFramework client) {
        List<ConnectionState> states = new java.util.concurrent.CopyOnWriteArrayList<>();
        client.getConnectionStateListenable().addListener((c, state) -> {
            // The first connection may be told before or after this is here to listen.
            if (state != ConnectionState.CONNECTED) {
                states.add(state);
            }
        });
        return states;
    }

    private static void sharing(Checks checks, CuratorFramework one, CuratorFramework two) {
        checks.check("curator/readers share, a writer does not", "true true false true", () -> {
            InterProcessReadWriteLock left = new InterProcessReadWriteLock(one, "/curator/rw");
            InterProcessReadWriteLock right = new InterProcessReadWriteLock(two, "/curator/rw");
            String seen = left.readLock().acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS) + " "
                    + right.readLock().acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            left.readLock().release();
            seen += " " + left.writeLock().acquire(1, TimeUnit.MILLISECONDS);
            right.readLock().release();
            seen += " " + left.writeLock().acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            left.writeLock().release();
            return seen;
        });
        checks.check("curator/a semaphore has its number of leases", "true true false true", () -> {
            var left = new InterProcessSemaphoreV2(one, "/curator/semaphore", 2);
            var right = new InterProcessSemaphoreV2(two, "/curator/semaphore", 2);
            Lease first = left.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            Lease second = right.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            Lease third = right.acquire(1, TimeUnit.MILLISECONDS);
            left.returnLease(first);
            Lease fourth = right.acquire(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            return (first != null) + " " + (second != null) + " " + (third != null) + " "
                    + (fourth != null);
        });
    }

    private static void leading(Checks checks, CuratorFramework one, CuratorFramework two) {
        checks.check("curator/a latch has one leader, and then the next", "a a b 2 c", () -> {
            List<LeaderLatch> latches = new ArrayList<>();
            for (String id : new String[] {"a", "b", "c"}) {
                LeaderLatch latch =
                        new LeaderLatch(id.equals("b") ? two : one, "/curator/latch", id);
                latch.start();
                latches.add(latch);
                int count = latches.size();
                Checks.await("its node", () -> latch.getOurPath() != null
                        && latch.getParticipants().size() == count);
            }
            LeaderLatch last = latches.get(2);
            Checks.await("a leader", () -> latches.get(0).hasLeadership());
            String seen = last.getLeader().getId() + " " + latches.get(1).getLeader().getId();
            latches.get(0).close();
            Checks.await("the second leader", () -> latches.get(1).hasLeadership());
            seen += " " + last.getLeader().getId() + " " + last.getParticipants().size();
            latches.get(1).close();
            Checks.await("the third leader", last::hasLeadership);
            seen += " " + last.getLeader().getId();
            last.close();
            return seen;
        });
        checks.check("curator/a latch passes on when its leader's session expires", "b", () -> {
            try (Cable cable = new Cable(checks.address);
                    CuratorFramework client = Curator.client(cable.address, 2_000);
                    LeaderLatch first = new LeaderLatch(client, "/curator/passes", "a");
                    LeaderLatch second = new LeaderLatch(one, "/curator/passes", "b")) {
                first.start();
                Checks.await("a leader", first::hasLeadership);
                second.start();
                cable.cut();
                Checks.await("the next leader", second::hasLeadership);
                Checks.await("the first to know", () -> !first.hasLeadership());
                cable.mend();
                return second.getLeader().getId();
            }
        });
        checks.check("curator/a selector leads in turns", "abab", () -> {
            StringBuffer turns = new StringBuffer();
            List<LeaderSelector> selectors = new ArrayList<>();
            for (String id : new String[] {"a", "b"}) {
                LeaderSelector selector = new LeaderSelector(id.equals("a") ? one : two,
                        "/curator/selector", new LeaderSelectorListenerAdapter() {
                            @Override
                            public void takeLeadership(CuratorFramework client) throws Exception {
                                // Whoever leads waits for the other, so that each has its turn.
                                Checks.await("the other", () -> client.getChildren()
                                        .forPath("/curator/selector").size() == 2
                                        || turns.length() >= 4);
                                turns.append(id);
                            }
                        });
                selector.setId(id);
                selector.autoRequeue();
                selector.start();
                selectors.add(selector);
                Checks.await("its node", () -> Curator.has(one, "/curator/selector")
                        && one.getChildren().forPath("/curator/selector").size()
                                == selectors.size());
            }
            Checks.await("four turns", () -> turns.length() >= 4);
            selectors.forEach(LeaderSelector::close);
            return turns.substring(0, 4);
        });
    }

    private static void together(Checks checks, CuratorFramework one, CuratorFramework two) {
        checks.check("curator/three enter a double barrier together and leave together",
                "3 3 0", () -> {
                    ExecutorService threads = Executors.newFixedThreadPool(3);
                    List<Future<int[]>> all = new ArrayList<>();
                    var inside = new java.util.concurrent.atomic.AtomicInteger();
                    var outside = new java.util.concurrent.atomic.AtomicInteger();
                    for (int i = 0; i < 3; i++) {
                        CuratorFramework client = i == 0 ? one : two;
                        all.add(threads.submit(() -> {
                            var barrier =
                                    new DistributedDoubleBarrier(client, "/curator/barrier", 3);
                            inside.incrementAndGet();
                            barrier.enter(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                            int came = inside.get();
                            outside.incrementAndGet();
                            barrier.leave(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                            return new int[] {came, outside.get()};
                        }));
                    }
                    int came = 3;
                    int left = 3;
                    for (Future<int[]> each : all) {
                        int[] seen = each.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                        came = Math.min(came, seen[0]);
                        left = Math.min(left, seen[1]);
                    }
                    threads.shutdown();
                    // Its parent is a container, which may be gone already.
                    Stat parent = one.checkExists().forPath("/curator/barrier");
                    return came + " " + left + " "
                            + (parent == null ? 0 : parent.getNumChildren());
                });
        checks.check("curator/an atomic number loses nothing", "80", () -> {
            ExecutorService threads = Executors.newFixedThreadPool(4);
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                CuratorFramework client = i % 2 == 0 ? one : two;
                all.add(threads.submit(() -> {
                    var number = new DistributedAtomicLong(
                            client, "/curator/number", new RetryNTimes(0, 0));
                    for (int done = 0; done < 20; ) {
                        done += number.increment().succeeded() ? 1 : 0;
                    }
                    return null;
                }));
            }
            for (Future<?> each : all) {
                each.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            }
            threads.shutdown();
            return new DistributedAtomicLong(one, "/curator/number", new RetryNTimes(0, 0))
                    .get().postValue();
        });
    }
}
