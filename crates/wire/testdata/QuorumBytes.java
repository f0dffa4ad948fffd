package org.apache.zookeeper.server.quorum;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooDefs.OpCode;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.server.DataTree;
import org.apache.zookeeper.server.quorum.flexible.QuorumHierarchical;
import org.apache.zookeeper.server.quorum.flexible.QuorumMaj;
import org.apache.zookeeper.server.util.SerializeUtils;
import org.apache.zookeeper.txn.CreateSessionTxn;
import org.apache.zookeeper.txn.SetDataTxn;
import org.apache.zookeeper.txn.TxnDigest;
import org.apache.zookeeper.txn.TxnHeader;

/**
 * Prints what Apache ZooKeeper 3.9.5 makes of the values below: quorum.hex.
 *
 * <p>With the jars of the original in JARS: javac -cp "JARS/*" -d OUT QuorumBytes.java, then
 * java -Dzookeeper.multiAddress.enabled=true -cp "OUT:JARS/*"
 * org.apache.zookeeper.server.quorum.QuorumBytes, without the lines that Apache logs.
 */
public final class QuorumBytes {

    private static final String CONFIG = "server.1=127.0.0.1:2888:3888:participant\nversion=100000000";

    public static void main(String[] args) throws Exception {
        System.out.println("# What Apache 3.9.5 writes, printed by QuorumBytes.java: > to the leader, < to a learner,");
        System.out.println("# v a notification, s a snapshot behind a SNAP packet, i lines of a configuration, o their text.");
        toLeader();
        toLearner();
        notifications();
        snapshots();
        configurations();
    }

    private static byte[] longs(long first, int... ints) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeLong(first);
        for (int value : ints) {
            out.writeInt(value);
        }
        return bytes.toByteArray();
    }

    private static byte[] join(byte[] first, byte[] second) {
        byte[] joined = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, joined, first.length, second.length);
        return joined;
    }

    private static byte[] bytes(Record record) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        BinaryOutputArchive.getArchive(bytes).writeRecord(record, "record");
        return bytes.toByteArray();
    }

    private static void print(String mark, byte[] bytes) {
        StringBuilder line = new StringBuilder(mark).append(' ');
        for (byte value : bytes) {
            line.append(String.format("%02x", value));
        }
        System.out.println(line);
    }

    private static void packet(String mark, int type, long zxid, byte[] data, List<Id> ids) throws Exception {
        packet(mark, new QuorumPacket(type, zxid, data, ids));
    }

    private static void packet(String mark, QuorumPacket packet) throws Exception {
        System.out.println();
        System.out.println("# " + Leader.getPacketType(packet.getType()));
        print(mark, bytes(packet));
    }

    private static void toLeader() throws Exception {
        List<Id> ids = Arrays.asList(new Id("ip", "127.0.0.1"), new Id("digest", "user:hash"));
        byte[] payload = "payload".getBytes(StandardCharsets.UTF_8);
        packet(">", Leader.REQUEST, -1, join(longs(0x100000000000001L, 7, OpCode.create), payload), ids);
        packet(">", Leader.REQUEST, -1, longs(0x100000000000001L, 8, OpCode.sync), Collections.emptyList());
        packet(">", Leader.ACK, 0x500000003L, null, null);
        packet(">", Leader.PING, 0x500000003L, new byte[0], null);
        packet(">", Leader.PING, 0x500000003L, join(longs(1L, 4000), longs(-2L, 30000)), null);
        packet(">", Leader.REVALIDATE, -1, longs(0x100000000000001L, 30000), null);
        packet(">", Leader.FOLLOWERINFO, 0x500000000L, bytes(new LearnerInfo(2, 0x10000, 0x100000000L)), null);
        packet(">", Leader.OBSERVERINFO, 0x500000000L, bytes(new LearnerInfo(3, 0x10000, 0)), null);
        packet(">", Leader.ACKEPOCH, 0x50000000aL, new byte[] {0, 0, 0, 5}, null);
        packet(">", Leader.ACKEPOCH, 0x50000000aL, new byte[] {-1, -1, -1, -1}, null);
    }

    private static void toLearner() throws Exception {
        TxnHeader header = new TxnHeader(0x100000000000001L, 7, 0x500000003L, 1763740000000L, OpCode.createSession);
        byte[] proposal = request(header, new CreateSessionTxn(30000), null).getSerializeData();
        byte[] digested = request(
            header, new CreateSessionTxn(30000), new TxnDigest(2, 0x1234567890L)).getSerializeData();
        TxnHeader change = new TxnHeader(0x100000000000001L, 8, 0x500000004L, 1763740000001L, OpCode.reconfig);
        byte[] reconfig = request(
            change, new SetDataTxn(ZooDefs.CONFIG_NODE, CONFIG.getBytes(StandardCharsets.UTF_8), 1), null).getSerializeData();
        packet("<", Leader.PROPOSAL, 0x500000003L, proposal, null);
        packet("<", Leader.PROPOSAL, 0x500000003L, digested, null);
        packet("<", Leader.PROPOSAL, 0x500000004L, reconfig, null);
        packet("<", Leader.COMMIT, 0x500000003L, null, null);
        packet("<", Leader.REVALIDATE, -1, join(longs(0x100000000000001L), new byte[] {1}), null);
        packet("<", Leader.SYNC, 0, null, null);
        packet("<", Leader.INFORM, 0x500000003L, digested, null);
        packet("<", Leader.COMMITANDACTIVATE, 0x500000004L, longs(2), null);
        packet("<", Leader.buildInformAndActivePacket(0x500000004L, 2, reconfig));
        packet("<", Leader.NEWLEADER, 0x600000000L, CONFIG.getBytes(StandardCharsets.UTF_8), null);
        packet("<", Leader.NEWLEADER, 0x600000000L, null, null);
        packet("<", Leader.UPTODATE, -1, null, null);
        packet("<", Leader.DIFF, 0x50000000cL, null, null);
        packet("<", Leader.TRUNC, 0x50000000cL, null, null);
        packet("<", Leader.SNAP, 0x50000000cL, null, null);
        packet("<", Leader.LEADERINFO, 0x600000000L, new byte[] {0, 1, 0, 0}, null);
    }

    private static org.apache.zookeeper.server.Request request(TxnHeader header, Record txn, TxnDigest digest) {
        org.apache.zookeeper.server.Request request = new org.apache.zookeeper.server.Request(
            header.getClientId(), header.getCxid(), header.getType(), header, txn, header.getZxid());
        request.setTxnDigest(digest);
        return request;
    }

    private static void notifications() {
        byte[] config = CONFIG.getBytes(StandardCharsets.UTF_8);
        System.out.println();
        System.out.println("# notifications");
        for (int state = 0; state < 4; state++) {
            print("v", FastLeaderElection.buildMsg(state, 3, 0x50000000cL, 9, 5, config).array());
        }
        long none = Long.MIN_VALUE;
        print("v", FastLeaderElection.buildMsg(0, none, none, 1, none, config).array());
        print("v", FastLeaderElection.buildMsg(0, 3, 0x50000000cL, 9, 5).array());
    }

    private static void snapshots() throws Exception {
        System.out.println();
        System.out.println("# snapshots");
        DataTree tree = new DataTree();
        Map<Long, Integer> sessions = new HashMap<>();
        stream(tree, sessions);
        sessions.put(0x100000000000001L, 30000);
        sessions.put(0x200000000000001L, 4000);
        tree.createNode("/a", "data".getBytes(StandardCharsets.UTF_8), ZooDefs.Ids.READ_ACL_UNSAFE, 0, 1, 2, 3);
        tree.createNode("/a/b", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, 0x100000000000001L, 1, 3, 4);
        stream(tree, sessions);
    }

    private static void stream(DataTree tree, Map<Long, Integer> sessions) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        BinaryOutputArchive archive = BinaryOutputArchive.getArchive(bytes);
        SerializeUtils.serializeSnapshot(tree, archive, sessions);
        archive.writeString("BenWasHere", "signature");
        print("s", bytes.toByteArray());
    }

    private static void configurations() throws Exception {
        String many = "";
        for (int sid : new int[] {5, 77, 254, 30, 12, 1, 2, 3, 90, 1000000, 8, 9, 10, 11}) {
            many += "server." + sid + "=h" + sid + ":1:2 ";
        }
        String[] configurations = {
            "server.1=127.0.0.1:2888:3888 server.2=host-2:2888:3888;2181 server.3=host.3:2888:3888:observer;10.0.0.3:2181 "
                + "version=100000000",
            "server.1=[::1]:2888:3888:participant;[::]:2181 server.2=[2001:db8::7:0:1]:1:2 server.3=[::ffff:10.1.2.3]:1:2",
            "server.1=b:2888:3888|a:2889:3889:OBSERVER|[fe80::1]:1:2 server.2=:1:2;:3",
            "server.10=a:1:2 server.20=b:1:2 server.30=c:1:2 version=0",
            many,
            "server.1=a:1:2 server.2=b:1:2 server.3=c:1:2 server.4=d:1:2:observer group.1=1:2 group.2=3 weight.2=0 "
                + "version=2a",
        };
        for (String configuration : configurations) {
            Properties lines = new Properties();
            System.out.println();
            System.out.println("# configuration");
            boolean hierarchical = false;
            for (String line : configuration.trim().split(" ")) {
                String[] parts = line.split("=", 2);
                lines.setProperty(parts[0], parts[1]);
                hierarchical |= parts[0].startsWith("group");
                System.out.println("i " + line);
            }
            String text = hierarchical ? new QuorumHierarchical(lines).toString() : new QuorumMaj(lines).toString();
            for (String line : text.split("\n")) {
                System.out.println("o " + line);
            }
        }
    }
}
