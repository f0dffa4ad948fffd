import java.util.concurrent.Callable;
import org.apache.zookeeper.KeeperException;

/**
 * The checks of one run: where the server is, and how each of them went.
 *
 * Keeps true: a check passes when its body gives exactly the expected text, so that two servers
 * that pass have answered the same.
 */
final class Checks {
    /** Far away: it guards against a run that never ends, and is not what is tested. */
    static final long LIMIT_MS = 30_000;

    /** A body that gives what it saw. */
    interface Body {
        Object run() throws Exception;
    }

    /** A call whose failure is of interest. */
    interface Call {
        void run() throws Exception;
    }

    final String address;
    /** The program that takes part in our recipes. */
    final String recipesCheck;
    private final boolean apache;
    private int passed;
    private int failed;

    Checks(String address, boolean apache, String recipesCheck) {
        this.address = address;
        this.apache = apache;
        this.recipesCheck = recipesCheck;
    }

    /** Runs one check and prints its line. */
    void check(String name, String expected, Body body) {
        String seen;
        try {
            seen = String.valueOf(body.run());
        } catch (Exception | AssertionError e) {
            seen = "failed: " + e;
            e.printStackTrace();
        }
        count(name, expected, seen);
    }

    private synchronized void count(String name, String expected, String seen) {
        if (seen.equals(expected)) {
            passed += 1;
            System.out.println("ok   " + name + ": " + seen);
        } else {
            failed += 1;
            System.out.println("FAIL " + name + ": expected " + expected + ", saw " + seen);
        }
    }

    /** A check of a difference that the project's pages name: each server has its own answer. */
    void differs(String name, String original, String ours, Body body) {
        check(name + " (a documented difference)", apache ? original : ours, body);
    }

    synchronized boolean finish() {
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0;
    }

    /** Looks until the state is there. */
    static void await(String what, Callable<Boolean> state) throws Exception {
        long deadline = System.nanoTime() + LIMIT_MS * 1_000_000;
        while (!state.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited in vain for " + what);
            }
            Thread.sleep(5);
        }
    }

    /** The name of the error that a call ends with, or OK. */
    static String code(Call call) throws Exception {
        try {
            call.run();
            return "OK";
        } catch (KeeperException e) {
            return e.code().name();
        } catch (IllegalArgumentException | IllegalStateException e) {
            return e.getClass().getSimpleName();
        }
    }
}
