import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** Curator's own ways to write: parents on the way, protected names, nodes that come back. */
final class CuratorNodeChecks {
    private CuratorNodeChecks() {}

    static void run(Checks checks) throws Exception {
        try (CuratorFramework client = Curator.client(checks.address)) {
            client.create().forPath("/own");
            writing(checks, client);
            guarded(checks, client);
            lasting(checks, client);
            shared(checks, client);
        }
    }

    private static void writing(Checks checks, CuratorFramework client) {
        checks.check("nodes of curator/parents are made on the way", "d 0", () -> {
            client.create().creatingParentsIfNeeded().forPath("/own/a/b/c", "d".getBytes());
            client.create().creatingParentContainersIfNeeded().forPath("/own/box/b/c");
            client.delete().forPath("/own/box/b/c");
            Checks.await("the containers' end", () -> !Curator.has(client, "/own/box"));
            String data = Curator.text(client, "/own/a/b/c");
            client.delete().deletingChildrenIfNeeded().forPath("/own/a");
            return data + " " + client.checkExists().forPath("/own").getNumChildren();
        });
        checks.check("nodes of curator/create or set", "first second 1", () -> {
            client.create().orSetData().forPath("/own/either", "first".getBytes());
            String seen = Curator.text(client, "/own/either");
            client.create().orSetData().forPath("/own/either", "second".getBytes());
            return seen + " " + Curator.text(client, "/own/either") + " "
                    + client.checkExists().forPath("/own/either").getVersion();
        });
        checks.check("nodes of curator/a namespace is a root of its own",
                "d true [/in, /in/side]", () -> {
                    CuratorFramework inner = client.usingNamespace("own/space");
                    inner.create().creatingParentsIfNeeded().forPath("/in/side", "d".getBytes());
                    List<String> seen = Collections.synchronizedList(new ArrayList<>());
                    inner.getData().usingWatcher((CuratorWatcher) e -> seen.add(e.getPath()))
                            .forPath("/in");
                    inner.getData().usingWatcher((CuratorWatcher) e -> seen.add(e.getPath()))
                            .forPath("/in/side");
                    client.setData().forPath("/own/space/in");
                    Checks.await("the first event", () -> seen.size() == 1);
                    client.delete().forPath("/own/space/in/side");
                    Checks.await("the second event", () -> seen.size() == 2);
                    return "d " + Curator.has(client, "/own/space/in") + " " + seen;
                });
        checks.check("nodes of curator/watches are taken back by kind",
                "DataWatchRemoved, PersistentWatchRemoved", () -> {
                    client.create().forPath("/own/back-again");
                    List<String> seen = Collections.synchronizedList(new ArrayList<>());
                    CuratorWatcher data = event -> seen.add(event.getType().name());
                    CuratorWatcher lasting = event -> seen.add(event.getType().name());
                    client.getData().usingWatcher(data).forPath("/own/back-again");
                    client.watchers().add().withMode(AddWatchMode.PERSISTENT)
                            .usingWatcher(lasting).forPath("/own/back-again");
                    client.watchers().remove(data).forPath("/own/back-again");
                    Checks.await("the first event", () -> seen.size() == 1);
                    client.watchers().remove(lasting).forPath("/own/back-again");
                    Checks.await("the second event", () -> seen.size() == 2);
                    return String.join(", ", seen);
                });
        checks.check("nodes of curator/a transaction", "CREATE /own/tx, SET_DATA /own/tx, "
                + "CHECK /own/tx", () -> {
                    var ops = client.transactionOp();
                    return String.join(", ", client.transaction().forOperations(List.of(
                            ops.create().forPath("/own/tx", "1".getBytes()),
                            ops.setData().withVersion(0).forPath("/own/tx", "2".getBytes()),
                            ops.check().withVersion(1).forPath("/own/tx")))
                            .stream().map(r -> r.getType() + " " + r.getForPath()).toList());
                });
        checks.check("nodes of curator/in the background", "CREATE 0 /own/back", () -> {
            CompletableFuture<String> seen = new CompletableFuture<>();
            client.create().inBackground((c, event) -> seen.complete(event.getType() + " "
                    + event.getResultCode() + " " + event.getPath())).forPath("/own/back");
            return seen.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
        });
    }

    private static void guarded(Checks checks, CuratorFramework other) {
        String name = "nodes of curator/a protected creation whose answer was lost is found again";
        checks.check(name, "1 true true", () -> {
            other.create().forPath("/own/protected");
            try (Cable cable = new Cable(checks.address);
                    CuratorFramework client = Curator.client(cable.address)) {
                // The session has a node that exists, so that nothing else is on its way.
                client.checkExists().forPath("/own/protected");
                cable.loseAnswers();
                CompletableFuture<String> made = CompletableFuture.supplyAsync(() -> {
                    try {
                        return client.create().withProtection()
                                .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                                .forPath("/own/protected/n-");
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
                Checks.await("the node, and its answer",
                        () -> other.getChildren().forPath("/own/protected").size() == 1
                                && cable.lost() > 0);
                cable.cut();
                cable.mend();
                String path = made.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                List<String> names = other.getChildren().forPath("/own/protected");
                return names.size() + " " + path.equals("/own/protected/" + names.get(0)) + " "
                        + path.matches("/own/protected/_c_[0-9a-f-]{36}-n-0000000000");
            }
        });
        checks.check("nodes of curator/a guaranteed deletion is made up for", "true", () -> {
            other.create().forPath("/own/guaranteed");
            try (Cable cable = new Cable(checks.address);
                    CuratorFramework client = Curator.client(cable.address)) {
                cable.cut();
                var deleted = CompletableFuture.runAsync(() -> {
                    try {
                        client.delete().guaranteed().forPath("/own/guaranteed");
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
                cable.mend();
                deleted.get(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                return !Curator.has(other, "/own/guaranteed");
            }
        });
    }

    private static void lasting(Checks checks, CuratorFramework other) {
        checks.check("nodes of curator/a persistent node comes back", "true true v", () -> {
            try (Cable cable = new Cable(checks.address);
                    CuratorFramework client = Curator.client(cable.address, 2_000);
                    PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false,
                            "/own/comes-back", "v".getBytes())) {
                node.start();
                node.waitForInitialCreate(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
                long first = other.checkExists().forPath("/own/comes-back").getCzxid();
                other.delete().forPath("/own/comes-back");
                Checks.await("the second node", () -> Curator.has(other, "/own/comes-back"));
                Stat second = other.checkExists().forPath("/own/comes-back");
                cable.cut();
                Checks.await("the expiry", () -> !Curator.has(other, "/own/comes-back"));
                cable.mend();
                Checks.await("the third node", () -> Curator.has(other, "/own/comes-back"));
                Stat third = other.checkExists().forPath("/own/comes-back");
                return (second.getCzxid() > first) + " "
                        + (third.getEphemeralOwner() != second.getEphemeralOwner()) + " "
                        + Curator.text(other, "/own/comes-back");
            }
        });
        checks.check("nodes of curator/a TTL node lives while it is touched", "true true", () -> {
            PersistentTtlNode node =
                    new PersistentTtlNode(other, "/own/ttl", 600, "v".getBytes());
            node.start();
            node.waitForInitialCreate(Checks.LIMIT_MS, TimeUnit.MILLISECONDS);
            // Touched twice in each of its lifetimes: six times are more than two of them.
            String touch = "/own/ttl/" + PersistentTtlNode.DEFAULT_CHILD_NODE_NAME;
            Checks.await("six touches", () -> {
                Stat stat = other.checkExists().forPath(touch);
                return stat != null && stat.getVersion() >= 6;
            });
            String seen = "" + Curator.has(other, "/own/ttl");
            node.close();
            Checks.await("its end", () -> !Curator.has(other, "/own/ttl"));
            return seen + " " + !Curator.has(other, "/own/ttl");
        });
    }

    private static void shared(Checks checks, CuratorFramework client) {
        checks.check("nodes of curator/members of a group come and go", "[a, b] [b]", () -> {
            try (CuratorFramework two = Curator.client(checks.address);
                    GroupMember a = new GroupMember(client, "/own/group", "a");
                    GroupMember b = new GroupMember(two, "/own/group", "b")) {
                a.start();
                b.start();
                Checks.await("both", () -> b.getCurrentMembers().size() == 2
                        && Curator.has(client, "/own/group/a"));
                String seen = new TreeSet<>(b.getCurrentMembers().keySet()).toString();
                a.close();
                Checks.await("one", () -> b.getCurrentMembers().size() == 1);
                return seen + " " + b.getCurrentMembers().keySet();
            }
        });
        checks.check("nodes of curator/a queue keeps its order", "0 1 2 3 4 null", () -> {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(client, "/own/queue");
            for (int i = 0; i < 5; i++) {
                queue.offer(String.valueOf(i).getBytes());
            }
            String seen = "";
            for (int i = 0; i < 5; i++) {
                seen += new String(queue.take()) + " ";
            }
            return seen + queue.poll();
        });
        checks.check("nodes of curator/a shared count is compared and set", "true false 5", () -> {
            try (CuratorFramework two = Curator.client(checks.address);
                    SharedCount left = new SharedCount(client, "/own/shared", 0);
                    SharedCount right = new SharedCount(two, "/own/shared", 0)) {
                left.start();
                right.start();
                var old = right.getVersionedValue();
                String seen = left.trySetCount(left.getVersionedValue(), 5) + " "
                        + right.trySetCount(old, 6);
                Checks.await("the count", () -> right.getCount() == 5);
                return seen + " " + right.getCount();
            }
        });
    }
}
