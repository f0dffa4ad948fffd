import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Who may do what: digests, addresses, the super user, and what a stranger is shown. */
final class AccessChecks {
    private AccessChecks() {}

    static void run(Checks checks) throws Exception {
        try (Session owner = Session.open(checks.address);
                Session stranger = Session.open(checks.address)) {
            owner.zk.addAuthInfo("digest", "owner:secret".getBytes());
            owner.create("/access");
            digests(checks, owner, stranger);
            lists(checks, owner, stranger);
            others(checks, owner, stranger);
        }
    }

    private static ACL acl(int permissions, String scheme, String id) {
        return new ACL(permissions, new Id(scheme, id));
    }

    private static String make(Session session, String path, ACL... list) throws Exception {
        return session.zk.create(path, "d".getBytes(), Arrays.asList(list), CreateMode.PERSISTENT);
    }

    private static String text(List<ACL> list) {
        StringBuilder all = new StringBuilder();
        for (ACL acl : list) {
            all.append(all.isEmpty() ? "" : ", ").append(acl.getId().getScheme()).append(':')
                    .append(acl.getId().getId()).append(':').append(acl.getPerms());
        }
        return all.toString();
    }

    private static void digests(Checks checks, Session owner, Session stranger) {
        checks.check("access/a creator keeps others out",
                "d NOAUTH NOAUTH NOAUTH NOAUTH NOAUTH NOAUTH",
                () -> {
                    owner.zk.create("/access/own", "d".getBytes(), Ids.CREATOR_ALL_ACL,
                            CreateMode.PERSISTENT);
                    return owner.text("/access/own") + " "
                            + Checks.code(() -> stranger.text("/access/own")) + " "
                            + Checks.code(() -> stranger.set("/access/own", "")) + " "
                            + Checks.code(() -> stranger.names("/access/own")) + " "
                            + Checks.code(() -> stranger.create("/access/own/child")) + " "
                            + Checks.code(() -> stranger.zk.getACL("/access/own", new Stat()))
                            + " " + Checks.code(() -> stranger.has("/access/own"));
                });
        checks.check("access/a list names the user by a digest",
                "digest:owner:Vj++wdU3sMAbt+g9TyKj1BT+usI=:31",
                () -> text(owner.zk.getACL("/access/own", new Stat())));
        checks.check("access/two users of one client", "true true", () -> {
            try (Session both = Session.open(checks.address)) {
                both.zk.addAuthInfo("digest", "one:1".getBytes());
                both.zk.addAuthInfo("digest", "two:2".getBytes());
                both.zk.create("/access/both", new byte[0], Ids.CREATOR_ALL_ACL,
                        CreateMode.PERSISTENT);
                String list = text(both.zk.getACL("/access/both", new Stat()));
                return list.contains("digest:one:") + " " + list.contains("digest:two:");
            }
        });
        checks.check("access/the user is named again after a reconnect", "d", () -> {
            try (Cable cable = new Cable(checks.address);
                    Session session = Session.open(cable.address)) {
                session.zk.addAuthInfo("digest", "owner:secret".getBytes());
                session.text("/access/own");
                cable.cut();
                session.await(KeeperState.Disconnected);
                cable.mend();
                session.connected();
                return session.text("/access/own");
            }
        });
        checks.check("access/the super user is above all lists", "d OK OK", () -> {
            try (Session root = Session.open(checks.address)) {
                root.zk.addAuthInfo("digest", "super:test".getBytes());
                return root.text("/access/own") + " "
                        + Checks.code(() -> root.create("/access/own/child")) + " "
                        + Checks.code(() -> root.zk.setACL(
                                "/access/own", Ids.CREATOR_ALL_ACL, -1));
            }
        });
        checks.check("access/a super user without the password is nobody", "NOAUTH", () -> {
            try (Session root = Session.open(checks.address)) {
                root.zk.addAuthInfo("digest", "super:wrong".getBytes());
                return Checks.code(() -> root.text("/access/own"));
            }
        });
    }

    private static void lists(Checks checks, Session owner, Session stranger) {
        checks.check("access/who may not read or change the list sees no digest",
                "digest:owner:x:31, world:anyone:1 | digest:owner:x:31, world:anyone:1 | true",
                () -> {
                    String id = DigestAuthenticationProvider.generateDigest("owner:secret");
                    make(owner, "/access/masked", acl(Perms.ALL, "digest", id),
                            acl(Perms.READ, "world", "anyone"));
                    String seen = text(stranger.zk.getACL("/access/masked", new Stat()));
                    stranger.zk.addAuthInfo("digest", "stranger:pw".getBytes());
                    seen += " | " + text(stranger.zk.getACL("/access/masked", new Stat()));
                    return seen + " | " + text(owner.zk.getACL("/access/masked", new Stat()))
                            .startsWith("digest:" + id + ":31");
                });
        checks.check("access/each permission by itself",
                "r: OK NOAUTH NOAUTH NOAUTH NOAUTH, w: NOAUTH OK NOAUTH NOAUTH NOAUTH, "
                        + "c: NOAUTH NOAUTH OK NOAUTH NOAUTH, d: NOAUTH NOAUTH NOAUTH OK NOAUTH, "
                        + "a: NOAUTH NOAUTH NOAUTH NOAUTH OK",
                () -> {
                    String seen = "";
                    for (int i = 0; i < 5; i++) {
                        int permission = 1 << i;
                        String path = "/access/perm" + permission;
                        make(owner, path, acl(Perms.ALL, "auth", ""),
                                acl(permission, "world", "anyone"));
                        make(owner, path + "/old", acl(Perms.ALL, "auth", ""));
                        seen += (i == 0 ? "" : ", ") + "rwcda".charAt(i) + ": "
                                + String.join(" ",
                                        Checks.code(() -> stranger.text(path)),
                                        Checks.code(() -> stranger.set(path, "")),
                                        Checks.code(() -> stranger.create(path + "/new")),
                                        Checks.code(() -> stranger.delete(path + "/old")),
                                        Checks.code(() -> stranger.zk.setACL(
                                                path, Ids.OPEN_ACL_UNSAFE, -1)));
                    }
                    return seen;
                });
        checks.check("access/a list has a version", "1 2 BADVERSION 2", () -> {
            make(owner, "/access/versions", acl(Perms.ALL, "world", "anyone"));
            Stat one = owner.zk.setACL("/access/versions", Ids.OPEN_ACL_UNSAFE, 0);
            Stat two = owner.zk.setACL("/access/versions", Ids.OPEN_ACL_UNSAFE, 1);
            String late = Checks.code(() -> owner.zk.setACL(
                    "/access/versions", Ids.OPEN_ACL_UNSAFE, 1));
            Stat now = new Stat();
            owner.zk.getACL("/access/versions", now);
            return one.getAversion() + " " + two.getAversion() + " " + late + " "
                    + now.getAversion();
        });
        checks.check("access/lists that cannot be",
                "INVALIDACL INVALIDACL INVALIDACL INVALIDACL INVALIDACL", () -> {
                    try (Session nobody = Session.open(checks.address)) {
                        return String.join(" ",
                                Checks.code(() -> nobody.zk.create("/access/bad", new byte[0],
                                        List.of(), CreateMode.PERSISTENT)),
                                Checks.code(() -> nobody.zk.create("/access/bad", new byte[0],
                                        Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT)),
                                Checks.code(() -> make(nobody, "/access/bad",
                                        acl(31, "nosuch", "x"))),
                                Checks.code(() -> make(nobody, "/access/bad",
                                        acl(31, "ip", "10.0.0.256"))),
                                Checks.code(() -> make(nobody, "/access/bad",
                                        acl(31, "digest", "nocolon"))));
                    }
                });
    }

    private static void others(Checks checks, Session owner, Session stranger) {
        checks.check("access/addresses and their networks", "d NOAUTH d", () -> {
            make(owner, "/access/ip", acl(Perms.READ, "ip", "127.0.0.1"));
            make(owner, "/access/far", acl(Perms.READ, "ip", "10.0.0.0/8"));
            make(owner, "/access/net", acl(Perms.READ, "ip", "127.0.0.0/8"));
            return stranger.text("/access/ip") + " "
                    + Checks.code(() -> stranger.text("/access/far")) + " "
                    + stranger.text("/access/net");
        });
        checks.check("access/whoAmI", "[ip:127.0.0.1] [digest:me, ip:127.0.0.1]", () -> {
            try (Session me = Session.open(checks.address)) {
                String before = who(me);
                me.zk.addAuthInfo("digest", "me:pw".getBytes());
                return before + " " + who(me);
            }
        });
        checks.check("access/a scheme that nobody knows ends the client",
                "AuthFailed AUTH_FAILED AUTHFAILED", () -> {
                    try (Session session = Session.open(checks.address)) {
                        session.zk.addAuthInfo("nosuch", "x".getBytes());
                        session.await(KeeperState.AuthFailed);
                        return "AuthFailed " + session.zk.getState() + " "
                                + Checks.code(() -> session.has("/"));
                    }
                });
    }

    private static String who(Session session) throws Exception {
        return session.zk.whoAmI().stream()
                .map(info -> info.getAuthScheme() + ":" + info.getUser()).sorted().toList()
                .toString();
    }
}
