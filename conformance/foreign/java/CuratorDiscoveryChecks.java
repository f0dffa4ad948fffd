import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;

/** Curator's service discovery and our registry at one path: each finds what the other wrote. */
final class CuratorDiscoveryChecks {
    private static final String BASE = "/services";
    private static final String SERVICE = "orders";

    /** A participant of ours in a process of its own. */
    private static final class Ours implements AutoCloseable {
        private final Process process;
        private final BufferedReader output;
        private final PrintStream input;

        Ours(Checks checks, String kind) throws Exception {
            process = new ProcessBuilder(checks.recipesCheck, checks.address, "--hold", kind, BASE)
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
            output = new BufferedReader(new InputStreamReader(process.getInputStream()));
            input = new PrintStream(process.getOutputStream(), true);
            if (!"ready".equals(output.readLine())) {
                throw new AssertionError("ours does not start");
            }
        }

        String ask(String words) throws Exception {
            input.println(words);
            return output.readLine();
        }

        /** It ends with its input. */
        @Override
        public void close() throws Exception {
            input.close();
            process.waitFor();
        }
    }

    private CuratorDiscoveryChecks() {}

    static void run(Checks checks) throws Exception {
        try (CuratorFramework client = Curator.client(checks.address)) {
            // Users who say nothing more of their instances, and those who do.
            finds(checks, client, Void.class);
            finds(checks, client, Map.class);
            says(checks, client);
            chooses(checks, client);
            isFound(checks, client);
        }
    }

    private static <T> ServiceDiscovery<T> discovery(CuratorFramework client, Class<T> payload)
            throws Exception {
        return started(ServiceDiscoveryBuilder.builder(payload).client(client));
    }

    private static <T> ServiceDiscovery<T> started(ServiceDiscoveryBuilder<T> builder)
            throws Exception {
        ServiceDiscovery<T> discovery = builder.basePath(BASE).build();
        discovery.start();
        return discovery;
    }

    private static <T> ServiceInstance<T> only(ServiceDiscovery<T> discovery) throws Exception {
        Collection<ServiceInstance<T>> all = discovery.queryForInstances(SERVICE);
        return all.size() == 1 ? all.iterator().next() : null;
    }

    private static <T> void finds(Checks checks, CuratorFramework client, Class<T> payload) {
        String name = "discovery of curator/finds ours, payload " + payload.getSimpleName();
        checks.check(name, "[orders] a orders 127.0.0.1:8080 DYNAMIC true null 0", () -> {
            try (ServiceDiscovery<T> discovery = discovery(client, payload);
                    Ours ours = new Ours(checks, "registry")) {
                ours.ask("register a");
                ServiceInstance<T> found = only(discovery);
                String seen = discovery.queryForNames() + " " + found.getId() + " "
                        + found.getName() + " " + found.getAddress() + ":" + found.getPort() + " "
                        + found.getServiceType() + " " + found.isEnabled() + " "
                        + found.getPayload();
                ours.ask("unregister");
                return seen + " " + discovery.queryForInstances(SERVICE).size();
            }
        });
    }

    private static void says(Checks checks, CuratorFramework client) {
        checks.check("discovery of curator/reads what ours says of itself",
                "{health=up, metadata={zone=a}, weight=7}", () -> {
                    try (ServiceDiscovery<Map> discovery = discovery(client, Map.class);
                            Ours ours = new Ours(checks, "registry")) {
                        ours.ask("register b");
                        ours.ask("weight 7");
                        return new TreeMap<Object, Object>(only(discovery).getPayload());
                    }
                });
    }

    private static void chooses(Checks checks, CuratorFramework client) {
        checks.check("discovery of curator/chooses ours while it is up", "c null", () -> {
            try (ServiceDiscovery<Map> discovery = discovery(client, Map.class);
                    ServiceProvider<Map> provider =
                            discovery.serviceProviderBuilder().serviceName(SERVICE).build();
                    Ours ours = new Ours(checks, "registry")) {
                provider.start();
                ours.ask("register c");
                Checks.await("a choice", () -> provider.getInstance() != null);
                String seen = provider.getInstance().getId();
                ours.ask("drain");
                Checks.await("no choice", () -> provider.getInstance() == null);
                return seen + " " + provider.getInstance();
            }
        });
    }

    private static void isFound(Checks checks, CuratorFramework client) {
        checks.check("discovery of curator/ours finds its instances",
                "d 10.0.0.7:8081 1 Up, chosen d; d 10.0.0.7:8081 1 Down, chosen nobody; "
                        + "no d, chosen nobody", () -> {
                    // As it comes, the serializer leaves out whether an instance is enabled.
                    ServiceDiscoveryBuilder<Map> builder = ServiceDiscoveryBuilder
                            .builder(Map.class).client(client)
                            .serializer(new JsonInstanceSerializer<>(Map.class, false));
                    try (ServiceDiscovery<Map> discovery = started(builder);
                            Ours ours = new Ours(checks, "discovery")) {
                        discovery.registerService(instance(true));
                        String seen = ours.ask("find d");
                        discovery.updateService(instance(false));
                        seen += "; " + ours.ask("find d");
                        discovery.unregisterService(instance(false));
                        return seen + "; " + ours.ask("miss d");
                    }
                });
    }

    private static ServiceInstance<Map> instance(boolean enabled) throws Exception {
        return ServiceInstance.<Map>builder().name(SERVICE).id("d").address("10.0.0.7")
                .port(8081).payload(Map.of("rack", "r1")).enabled(enabled).build();
    }
}
