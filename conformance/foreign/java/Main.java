import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What users of ZooKeeper's own Java client and of Apache Curator rely on, checked against a
 * running server: {@code java Main HOST:PORT apache|bellwether RECIPES_CHECK}.
 *
 * Keeps true: a line per check with what was seen, the counts in the last line, every wait is for
 * a state and has a limit. The subjects have trees of their own and run beside each other, as most
 * of their time passes in waiting for clients to connect again; the crash comes last. On the line
 * {@code KILL} whoever reads the output is to kill the server without warning, start it again on
 * the same port, and write a line back. The server needs {@code tickTime=500},
 * {@code maxSessionTimeout=60000}, extended types, a short container check and the super user
 * {@code super:test}. RECIPES_CHECK is the program that takes part in our recipes as
 * {@code --hold KIND PATH}. Leaves the checks to one class for each subject.
 */
public final class Main {
    private interface Subject {
        void run(Checks checks) throws Exception;
    }

    private static final List<Subject> SUBJECTS = List.of(
            SessionChecks::run,
            WatchChecks::run,
            WatchRemovalChecks::run,
            ReconnectChecks::run,
            TransactionChecks::run,
            NodeChecks::run,
            ShortLivedChecks::run,
            AccessChecks::run,
            OrderChecks::run,
            LimitChecks::run,
            CuratorLockChecks::run,
            CuratorCacheChecks::run,
            CuratorNodeChecks::run,
            CuratorDiscoveryChecks::run);

    /** How many subjects run at a time. */
    private static final int THREADS = 4;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 3) {
            System.err.println("usage: java Main HOST:PORT apache|bellwether RECIPES_CHECK");
            System.exit(2);
        }
        Checks checks = new Checks(arguments[0], arguments[1].equals("apache"), arguments[2]);
        together(checks);
        try (Scanner input = new Scanner(System.in)) {
            CrashChecks.run(checks, () -> {
                System.out.println("KILL");
                System.out.flush();
                input.nextLine();
            });
        }
        System.exit(checks.finish() ? 0 : 1);
    }

    private static void together(Checks checks) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        List<Future<?>> all = new ArrayList<>();
        for (Subject subject : SUBJECTS) {
            all.add(threads.submit(() -> {
                subject.run(checks);
                return null;
            }));
        }
        for (Future<?> each : all) {
            each.get();
        }
        threads.shutdown();
    }
}
