import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Judge answers questions about signed files, one a line, with one line of JSON each. It
 * knows PDFBox and Bouncy Castle, and nothing of Signbus. The words of a question are
 * separated by tabs:
 *
 * <pre>
 * pdf FILE CA.pem              every signature field of a PDF, and its security store
 * cms FILE CONTENT|- CA.pem    every signer of a CMS file; CONTENT when it is detached
 * content FILE                 what a signature must not change: form values, attachments, tags
 * pdfa FILE                    is the file PDF/A-1b
 * </pre>
 */
public final class Judge {
    private Judge() {}

    public static void main(String[] args) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        java.security.Security.addProvider(new org.bouncycastle.jce.provider.BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> answer;
            try {
                answer = answer(line.split("\t"));
            } catch (Exception | StackOverflowError e) {
                answer = new LinkedHashMap<>();
                answer.put("error", String.valueOf(e));
            }
            out.println(Json.write(answer));
        }
    }

    private static Map<String, Object> answer(String[] words) throws Exception {
        File file = new File(words[1]);
        switch (words[0]) {
            case "pdf":
                return Signatures.of(file, new Trust(Path.of(words[2])));
            case "cms":
                byte[] content = words[2].equals("-") ? null : Files.readAllBytes(Path.of(words[2]));
                return Signatures.ofCms(Files.readAllBytes(file.toPath()), content, new Trust(Path.of(words[3])));
            case "content":
                return Content.of(file);
            case "pdfa":
                return Archive.of(file);
            default:
                throw new IllegalArgumentException("no such question: " + words[0]);
        }
    }
}
