import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryForever;

/** Clients of Apache Curator as its users make them. */
final class Curator {
    private Curator() {}

    static CuratorFramework client(String address) throws Exception {
        return client(address, 20_000);
    }

    static CuratorFramework client(String address, int timeoutMs) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(address)
                .sessionTimeoutMs(timeoutMs)
                .connectionTimeoutMs((int) Checks.LIMIT_MS)
                .retryPolicy(new RetryForever(100))
                .build();
        client.start();
        if (!client.blockUntilConnected((int) Checks.LIMIT_MS, TimeUnit.MILLISECONDS)) {
            throw new AssertionError("no connection");
        }
        return client;
    }

    static String text(CuratorFramework client, String path) throws Exception {
        return new String(client.getData().forPath(path));
    }

    static boolean has(CuratorFramework client, String path) throws Exception {
        return client.checkExists().forPath(path) != null;
    }
}
