// Writes the private key of a PKCS12 key store as PEM, for clients that take no key stores:
// java PemKey.java STORE PASSWORD FILE ENCRYPTED. The store has one entry. The first file gets the
// key as it is, the second one encrypted with the same password, as `openssl pkcs8 -topk8` does it.

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.KeyStore;
import java.util.Base64;
import javax.crypto.Cipher;
import javax.crypto.EncryptedPrivateKeyInfo;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

public final class PemKey {
    private static final String ENCRYPTION = "PBEWithHmacSHA256AndAES_256";

    public static void main(String[] words) throws Exception {
        char[] password = words[1].toCharArray();
        KeyStore store = KeyStore.getInstance(Path.of(words[0]).toFile(), password);
        byte[] key = store.getKey(store.aliases().nextElement(), password).getEncoded();
        write(words[2], "PRIVATE KEY", key);
        Cipher cipher = Cipher.getInstance(ENCRYPTION);
        SecretKeyFactory keys = SecretKeyFactory.getInstance(ENCRYPTION);
        cipher.init(Cipher.ENCRYPT_MODE, keys.generateSecret(new PBEKeySpec(password)));
        byte[] encrypted = cipher.doFinal(key);
        // The same parameters under the name of their standard, the only one that has a number.
        AlgorithmParameters parameters = AlgorithmParameters.getInstance("PBES2");
        parameters.init(cipher.getParameters().getEncoded());
        byte[] info = new EncryptedPrivateKeyInfo(parameters, encrypted).getEncoded();
        write(words[3], "ENCRYPTED PRIVATE KEY", info);
    }

    private static void write(String file, String label, byte[] bytes) throws Exception {
        String body = Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(bytes);
        String lines = "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n";
        Files.writeString(Path.of(file), lines);
    }
}
