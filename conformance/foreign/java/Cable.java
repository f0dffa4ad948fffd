import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/**
 * A connection to the server that can be cut, and that can lose what the server answers.
 *
 * Keeps true: nothing of a connection that was cut arrives later. Bytes are carried as they are;
 * what they mean is not looked at.
 */
final class Cable implements AutoCloseable {
    final String address;
    private final ServerSocket listener;
    private final String host;
    private final int port;
    private final List<Socket> ends = new ArrayList<>();
    private boolean open = true;
    private volatile boolean losing;
    private volatile long lost;

    Cable(String server) throws IOException {
        int colon = server.lastIndexOf(':');
        host = server.substring(0, colon);
        port = Integer.parseInt(server.substring(colon + 1));
        listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        address = "127.0.0.1:" + listener.getLocalPort();
        spawn(this::accept);
    }

    /** New connections end at once; the ones there are stay. */
    synchronized void hold() {
        open = false;
    }

    /** Ends every connection, and new ones at once. */
    synchronized void cut() throws IOException {
        open = false;
        for (Socket end : ends) {
            end.close();
        }
        ends.clear();
    }

    /** New connections reach the server again. */
    synchronized void mend() {
        losing = false;
        open = true;
    }

    /** From here on the server's answers are thrown away, until the cable is mended. */
    void loseAnswers() {
        lost = 0;
        losing = true;
    }

    long lost() {
        return lost;
    }

    @Override
    public void close() throws IOException {
        cut();
        listener.close();
    }

    private void accept() throws IOException {
        while (true) {
            connect(listener.accept());
        }
    }

    private synchronized void connect(Socket client) throws IOException {
        if (!open) {
            client.close();
            return;
        }
        Socket server;
        try {
            server = new Socket(host, port);
        } catch (IOException e) {
            // The server is down: the client is to see what it would see without us.
            client.close();
            return;
        }
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        ends.add(client);
        ends.add(server);
        spawn(() -> carry(client, server, false));
        spawn(() -> carry(server, client, true));
    }

    private void carry(Socket from, Socket to, boolean answers) throws IOException {
        byte[] buffer = new byte[1 << 16];
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                if (answers && losing) {
                    lost += count;
                } else {
                    out.write(buffer, 0, count);
                }
            }
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    private static void spawn(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (IOException e) {
                // One end was closed, which is what cables here are for.
                return;
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
