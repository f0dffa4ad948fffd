// Writes the private key of a PKCS12 key store as PEM, for clients that take no key stores:
// java PemKey.java STORE PASSWORD FILE. The store has one entry; what it prints is unencrypted.

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;

public final class PemKey {
    public static void main(String[] words) throws Exception {
        char[] password = words[1].toCharArray();
        KeyStore store = KeyStore.getInstance(Path.of(words[0]).toFile(), password);
        byte[] key = store.getKey(store.aliases().nextElement(), password).getEncoded();
        String body = Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(key);
        String text = "-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----\n";
        Files.writeString(Path.of(words[2]), text);
    }
}
