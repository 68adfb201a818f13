import java.io.File;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.pdfbox.preflight.PreflightDocument;
import org.apache.pdfbox.preflight.ValidationResult;
import org.apache.pdfbox.preflight.exception.SyntaxValidationException;
import org.apache.pdfbox.preflight.parser.PreflightParser;

/** Archive says whether a file is PDF/A-1b, as PDFBox's preflight sees it. */
final class Archive {
    private Archive() {}

    static Map<String, Object> of(File file) throws Exception {
        Map<String, Object> answer = new LinkedHashMap<>();
        Set<String> errors = new TreeSet<>();
        try {
            PreflightParser parser = new PreflightParser(file);
            parser.parse();
            try (PreflightDocument document = parser.getPreflightDocument()) {
                document.validate();
                collect(document.getResult(), errors);
            }
        } catch (SyntaxValidationException e) {
            collect(e.getResult(), errors);
        }
        answer.put("errors", errors);
        return answer;
    }

    private static void collect(ValidationResult result, Set<String> errors) {
        for (ValidationResult.ValidationError e : result.getErrorsList()) {
            errors.add(e.getErrorCode() + " " + e.getDetails());
        }
    }
}
