//! Rows: who may do what, and TLS.

use super::super::kinds::Kind::{Address, Choice, Class, Secret, Text};
use super::super::kinds::{Kind, Reading};
use super::super::setting::Harmless::{False, Never, Provider};
use super::super::setting::Place::{Both, File, Java};
use super::super::setting::Setting;
use super::super::setting::Status::{Honoured, Refused, WithoutEffect};
use super::{FLAG, INT_DECODED, LONG_DECODED, PORT, STRICT, setting_rows};

const OFF_UNLESS_YES: Kind = Kind::Flag(Reading::YesOrElseNo);

pub(super) const ROWS: &[Setting] = setting_rows! { Access
    ["skipACL", Both, OFF_UNLESS_YES, "no", "", "3.0.0", Honoured,
     "With `yes`, no access is checked: every client may read and write everything."]
    ["DigestAuthenticationProvider.superDigest", Both, Secret, "", "", "3.2.0", Honoured,
     "Who may do everything: `super:` and the digest of `super:password`, in base64."]
    ["DigestAuthenticationProvider.enabled", Both, FLAG, "true", "", "3.7.0", Honoured,
     "Whether there is a scheme digest, for clients to authenticate by and in access lists."]
    ["DigestAuthenticationProvider.digestAlg", Both, Text, "SHA1", "", "3.7.0", Honoured,
     "The hash of scheme digest: SHA1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, \
      SHA-512/256, SHA3-224, SHA3-256, SHA3-384 or SHA3-512. Changing it makes existing access \
      lists useless."]
    ["authProvider.N", Both, Class, "", "", "3.0.0",
     Refused("classes of Java cannot be loaded, and authentication by SASL and X.509 does not \
              exist in this version: clients could not prove who they are. Schemes digest and ip \
              are there without any line. Remove the line", Provider),
     "A class that authenticates clients by a further scheme. Apache's classes of the schemes \
      digest, ip and ensemble stand for what is built in; without a line there is no scheme \
      ensemble."]
    ["enforce.auth.enabled", Both, FLAG, "false", "", "3.7.0", Honoured,
     "Whether a client must authenticate before anything else; its first other request is \
      answered with SESSIONCLOSEDREQUIRESASLAUTH, and its connection is closed."]
    ["enforce.auth.schemes", Both, Text, "", "", "3.7.0", Honoured,
     "The schemes, separated by commas, of which one must be used."]
    ["sessionRequireClientSASLAuth", Both, FLAG, "false", "", "3.5.9",
     Refused("SASL does not exist in this version, so nobody could connect as asked. Remove the \
              line if ACLs alone protect enough", False),
     "Whether a client must authenticate by SASL before anything else."]
    ["allowSaslFailedClients", Both, FLAG, "false", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version; a request for it is answered with an \
                    error"),
     "Whether a client whose SASL authentication failed stays connected."]
    ["ensembleAuthName", Both, Text, "", "", "3.6.0", Honoured,
     "Names, separated by commas, of which a client that names an ensemble by scheme ensemble must \
      say one. It needs authProvider.N=\
      org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider."]
    ["superUser", Both, Text, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version, so nobody can be this user"),
     "The SASL user who may do everything."]
    ["superUser.N", Both, Text, "", "", "3.7.0",
     WithoutEffect("SASL does not exist in this version, so nobody can be this user"),
     "Further SASL users who may do everything."]
    ["X509AuthenticationProvider.superUser", Both, Text, "", "", "3.5.1",
     WithoutEffect("X.509 does not exist in this version, so nobody can be this user"),
     "The holder of a certificate who may do everything."]
    ["SASLAuthenticationProvider.superPassword", Both, Secret, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version, so nobody can be this user"),
     "The password of SASL user `super`."]
    ["letAnySaslUserDoX", Both, Text, "", "", "3.5.0",
     WithoutEffect("SASL does not exist in this version"),
     "Permissions for every SASL user, for tests."]
    ["sasl.serverconfig", Both, Text, "Server", "", "3.4.4",
     WithoutEffect("SASL does not exist in this version"),
     "The section of the JAAS file with the server's credentials."]
    ["sasl.*", Both, Text, "", "", "3.4.0",
     WithoutEffect("they are settings of Apache's clients"),
     "SASL settings of clients."]
    ["kerberos.*", Both, Text, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version"),
     "How Kerberos names become user names."]
    ["kinit", Both, Text, "/usr/bin/kinit", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version"), "The path of the program kinit."]
    ["requireKerberosConfig", Both, Text, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version"),
     "Whether a missing Kerberos configuration stops the server."]
    ["security.auth_to_local", Both, Text, "DEFAULT", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version"),
     "Rules that turn Kerberos names into user names."]
    ["server.realm", Both, Text, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version"), "The server's Kerberos realm."]
    ["server.principal", Both, Text, "", "", "3.5.7",
     WithoutEffect("it is a setting of Apache's clients"), "The server's Kerberos name."]
    ["IPAuthenticationProvider.usexforwardedfor", Both, FLAG, "false", "", "3.9.3",
     WithoutEffect("it concerns the HTTP admin server, which does not exist in this version"),
     "Whether X-Forwarded-For names the client of an HTTP request."]
    ["java.security.auth.login.config", Java, Text, "", "", "3.4.0",
     WithoutEffect("SASL does not exist in this version, so the JAAS file is not read; no client \
                    can authenticate with what it holds"),
     "The JAAS file with the server's SASL credentials."]
};

pub(super) const TLS: &[Setting] = setting_rows! { Tls
    ["secureClientPort", File, PORT, "", "", "3.5.1",
     Refused("TLS does not exist in this version, and clients would be left without the port they \
              were told to use. Remove the line, and put a TLS proxy before clientPort if clients \
              need TLS", Never),
     "The TCP port for clients that speak TLS."]
    ["secureClientPortAddress", File, Address, "", "", "3.5.1",
     Refused("TLS does not exist in this version. Remove the line", Never),
     "The one address to listen on for clients that speak TLS."]
    ["client.portUnification", Both, FLAG, "false", "", "3.5.7",
     Refused("TLS does not exist in this version. Remove the line", False),
     "Whether secureClientPort also serves clients that do not speak TLS."]
    ["client.certReload", Both, FLAG, "false", "", "3.7.2",
     WithoutEffect("TLS does not exist in this version, and a port for it is refused"),
     "Whether changed key files are loaded without a restart."]
    ["ssl.*", Both, Text, "", "", "3.5.1",
     Refused("TLS does not exist in this version. Remove the line; no key file is read", Never),
     "Keys, certificates, protocols and checks of TLS for clients (keyStore.location, \
      keyStore.password, keyStore.passwordPath, keyStore.type, the same of trustStore, protocol, \
      enabledProtocols, ciphersuites, clientAuth, hostnameVerification, \
      clientHostnameVerification, allowReverseDnsLookup, crl, ocsp, authProvider, sslProvider, \
      context.supplier.class, handshakeDetectionTimeoutMillis)."]
    ["ssl.quorum.*", Both, Text, "", "", "3.5.5",
     Refused("TLS does not exist in this version, and neither do ensembles. Remove the line",
             Never),
     "The same settings for TLS between the servers of an ensemble."]
    ["sslQuorum", File, STRICT, "false", "", "3.5.5",
     Refused("TLS does not exist in this version, and neither do ensembles. Remove the line",
             False),
     "Whether the servers of an ensemble speak TLS with each other."]
    ["portUnification", File, STRICT, "false", "", "3.5.5",
     WithoutEffect("ensembles do not exist in this version"),
     "Whether the servers of an ensemble also take connections without TLS."]
    ["sslQuorumReloadCertFiles", File, STRICT, "false", "", "3.5.5",
     WithoutEffect("TLS does not exist in this version, and a port for it is refused"),
     "Whether changed key files are loaded without a restart."]
    ["fips-mode", Both, FLAG, "true", "", "3.8.2",
     WithoutEffect("it restricts TLS and SASL, which do not exist in this version"),
     "Whether only methods that FIPS allows are used."]
    ["netty.server.outstandingHandshake.limit", Both, INT_DECODED, "-1", "handshakes", "3.6.0",
     WithoutEffect("TLS does not exist in this version, and a port for it is refused"),
     "How many TLS handshakes may be under way; below 0: no limit."]
    ["netty.server.earlyDropSecureConnectionHandshakes", Both, FLAG, "false", "", "3.7.1",
     WithoutEffect("TLS does not exist in this version, and a port for it is refused"),
     "Whether TLS connections are dropped before the handshake while the server does not serve."]
    ["kerberos.minReLoginTimeMs", Both, LONG_DECODED, "60000", "ms", "3.5.10",
     WithoutEffect("SASL does not exist in this version"),
     "How long to wait before a Kerberos ticket is renewed again."]
    ["clientCnxnSocket", Both, Choice(&["org.apache.zookeeper.ClientCnxnSocketNIO",
                                        "org.apache.zookeeper.ClientCnxnSocketNetty"]), "", "",
     "3.4.0", WithoutEffect("it is a setting of Apache's clients"),
     "The class that a Java client connects with."]
    ["client.secure", Both, FLAG, "false", "", "3.5.1",
     WithoutEffect("it is a setting of Apache's clients"), "Whether a Java client speaks TLS."]
};
