import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeMap;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;

/** Curator's caches: on persistent recursive watches, and the older ones on single watches. */
final class CuratorCacheChecks {
    private CuratorCacheChecks() {}

    static void run(Checks checks) throws Exception {
        try (CuratorFramework own = Curator.client(checks.address);
                CuratorFramework other = Curator.client(checks.address)) {
            other.create().forPath("/caches");
            whole(checks, own, other);
            away(checks, other);
            older(checks, own, other);
        }
    }

    static String content(CuratorCache cache) {
        TreeMap<String, String> all = new TreeMap<>();
        cache.stream().forEach(node -> all.put(node.getPath(), new String(node.getData())));
        return all.toString();
    }

    private static void whole(Checks checks, CuratorFramework own, CuratorFramework other) {
        String name = "cache/a curator cache follows its tree";
        checks.check(name, "NODE_CREATED /caches/t, NODE_CREATED /caches/t/1, initialized, "
                + "NODE_CREATED /caches/t/2, NODE_CHANGED /caches/t/2, NODE_CHANGED /caches/t/1, "
                + "NODE_DELETED /caches/t/2 {/caches/t=t, /caches/t/1=changed}", () -> {
                    other.create().forPath("/caches/t", "t".getBytes());
                    other.create().forPath("/caches/t/1", "1".getBytes());
                    List<String> seen = Collections.synchronizedList(new ArrayList<>());
                    try (CuratorCache cache = CuratorCache.build(own, "/caches/t")) {
                        cache.listenable().addListener((type, old, data) -> seen.add(
                                type + " " + (data == null ? old : data).getPath()));
                        cache.listenable().addListener(CuratorCacheListener.builder()
                                .forInitialized(() -> seen.add("initialized")).build());
                        cache.start();
                        Checks.await("its start", () -> seen.contains("initialized"));
                        // The cache asks again after an event, and may skip what has passed.
                        other.create().forPath("/caches/t/2", "2".getBytes());
                        Checks.await("4 events", () -> seen.size() == 4);
                        other.setData().forPath("/caches/t/2", "changed".getBytes());
                        Checks.await("5 events", () -> seen.size() == 5);
                        other.setData().forPath("/caches/t/1", "changed".getBytes());
                        Checks.await("6 events", () -> seen.size() == 6);
                        other.delete().forPath("/caches/t/2");
                        Checks.await("7 events", () -> seen.size() == 7);
                        return String.join(", ", seen) + " " + content(cache);
                    }
                });
        checks.check("cache/a persistent watcher of curator's",
                "NodeCreated /caches/w/1, NodeDataChanged /caches/w/1, NodeDeleted /caches/w/1",
                () -> {
                    other.create().forPath("/caches/w");
                    List<String> seen = Collections.synchronizedList(new ArrayList<>());
                    try (PersistentWatcher watcher =
                            new PersistentWatcher(own, "/caches/w", true)) {
                        var set = new java.util.concurrent.CountDownLatch(1);
                        watcher.getResetListenable().addListener(set::countDown);
                        watcher.getListenable().addListener(
                                event -> seen.add(event.getType() + " " + event.getPath()));
                        watcher.start();
                        set.await(Checks.LIMIT_MS, java.util.concurrent.TimeUnit.MILLISECONDS);
                        other.create().forPath("/caches/w/1");
                        other.setData().forPath("/caches/w/1");
                        other.delete().forPath("/caches/w/1");
                        Checks.await("three events", () -> seen.size() >= 3);
                        return String.join(", ", seen);
                    }
                });
    }

    private static void away(Checks checks, CuratorFramework other) {
        checks.check("cache/a curator cache catches up after a lost connection",
                "{/caches/a=new, /caches/a/2=2, /caches/a/3=3}", () -> {
                    other.create().forPath("/caches/a", "old".getBytes());
                    other.create().forPath("/caches/a/1", "1".getBytes());
                    other.create().forPath("/caches/a/2", "2".getBytes());
                    return lost(checks, 20_000, other, "/caches/a");
                });
        checks.check("cache/a curator cache begins anew after a lost session",
                "{/caches/b=new, /caches/b/2=2, /caches/b/3=3}", () -> {
                    other.create().forPath("/caches/b", "old".getBytes());
                    other.create().forPath("/caches/b/1", "1".getBytes());
                    other.create().forPath("/caches/b/2", "2".getBytes());
                    return lost(checks, 2_000, other, "/caches/b");
                });
    }

    private static String lost(Checks checks, int timeout, CuratorFramework other, String root)
            throws Exception {
        String wanted = "{" + root + "=new, " + root + "/2=2, " + root + "/3=3}";
        try (Cable cable = new Cable(checks.address);
                CuratorFramework client = Curator.client(cable.address, timeout);
                CuratorCache cache = CuratorCache.build(client, root)) {
            cache.start();
            Checks.await("three nodes", () -> cache.size() == 3);
            long id = client.getZookeeperClient().getZooKeeper().getSessionId();
            client.create().withMode(org.apache.zookeeper.CreateMode.EPHEMERAL)
                    .forPath("/caches/alive");
            cable.cut();
            other.setData().forPath(root, "new".getBytes());
            other.delete().forPath(root + "/1");
            other.create().forPath(root + "/3", "3".getBytes());
            boolean expires = timeout < 10_000;
            if (expires) {
                Checks.await("the expiry", () -> !Curator.has(other, "/caches/alive"));
            }
            cable.mend();
            Checks.await("the new content", () -> content(cache).equals(wanted));
            Checks.await("a connection", () -> client.getZookeeperClient().isConnected());
            boolean same = client.getZookeeperClient().getZooKeeper().getSessionId() == id;
            if (same == expires) {
                throw new AssertionError("the session is the same: " + same);
            }
            return content(cache);
        }
    }

    private static void older(Checks checks, CuratorFramework own, CuratorFramework other) {
        checks.check("cache/a node cache", "null, 1, 2, null", () -> {
            try (NodeCache cache = new NodeCache(own, "/caches/node")) {
                cache.start(true);
                String seen = String.valueOf(cache.getCurrentData());
                other.create().forPath("/caches/node", "1".getBytes());
                for (String next : new String[] {"1", "2"}) {
                    other.setData().forPath("/caches/node", next.getBytes());
                    Checks.await("its content", () -> cache.getCurrentData() != null
                            && new String(cache.getCurrentData().getData()).equals(next));
                    seen += ", " + new String(cache.getCurrentData().getData());
                }
                other.delete().forPath("/caches/node");
                Checks.await("its end", () -> cache.getCurrentData() == null);
                return seen + ", " + cache.getCurrentData();
            }
        });
        checks.check("cache/a cache of children", "[/caches/kids/1, /caches/kids/3] x", () -> {
            other.create().forPath("/caches/kids");
            other.create().forPath("/caches/kids/1");
            other.create().forPath("/caches/kids/2");
            try (PathChildrenCache cache = new PathChildrenCache(own, "/caches/kids", true)) {
                cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
                other.delete().forPath("/caches/kids/2");
                other.create().forPath("/caches/kids/3", "x".getBytes());
                Checks.await("the third child alone", () -> cache.getCurrentData().size() == 2
                        && cache.getCurrentData("/caches/kids/3") != null);
                return cache.getCurrentData().stream().map(node -> node.getPath()).toList() + " "
                        + new String(cache.getCurrentData("/caches/kids/3").getData());
            }
        });
        checks.check("cache/a tree cache", "[a, b] [c]", () -> {
            other.create().creatingParentsIfNeeded().forPath("/caches/tree/a/c");
            try (TreeCache cache = new TreeCache(own, "/caches/tree").start()) {
                Checks.await("its content", () -> cache.size() == 3);
                other.create().forPath("/caches/tree/b");
                Checks.await("the fourth", () -> cache.size() == 4);
                return new java.util.TreeSet<>(
                        cache.getCurrentChildren("/caches/tree").keySet()) + " "
                        + cache.getCurrentChildren("/caches/tree/a").keySet();
            }
        });
    }
}
