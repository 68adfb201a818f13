import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.pdfbox.cos.COSArray;
import org.apache.pdfbox.cos.COSBase;
import org.apache.pdfbox.cos.COSDictionary;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.cos.COSObject;
import org.apache.pdfbox.cos.COSStream;
import org.apache.pdfbox.io.IOUtils;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDPage;
import org.apache.pdfbox.pdmodel.common.PDNameTreeNode;
import org.apache.pdfbox.pdmodel.common.filespecification.PDComplexFileSpecification;
import org.apache.pdfbox.pdmodel.common.filespecification.PDEmbeddedFile;
import org.apache.pdfbox.pdmodel.interactive.form.PDAcroForm;
import org.apache.pdfbox.pdmodel.interactive.form.PDField;
import org.apache.pdfbox.pdmodel.interactive.form.PDSignatureField;

/** Content is what a signature must not change. */
final class Content {
    private Content() {}

    static Map<String, Object> of(File file) throws Exception {
        try (PDDocument document = PDDocument.load(file)) {
            Map<String, Object> answer = new LinkedHashMap<>();
            Map<String, Object> fields = new TreeMap<>();
            Map<String, Object> signatures = new TreeMap<>();
            PDAcroForm form = document.getDocumentCatalog().getAcroForm(null);
            if (form != null) {
                for (PDField field : form.getFieldTree()) {
                    if (field instanceof PDSignatureField s) {
                        signatures.put(field.getFullyQualifiedName(), s.getSignature() != null);
                    } else {
                        fields.put(field.getFullyQualifiedName(), field.getFieldType() + " " + field.getValueAsString());
                    }
                }
            }
            answer.put("fields", fields);
            answer.put("signatureFields", signatures);
            answer.put("attachments", attachments(document));
            COSDictionary catalog = document.getDocumentCatalog().getCOSObject();
            StringBuilder tags = new StringBuilder();
            tags(catalog.getDictionaryObject(COSName.STRUCT_TREE_ROOT), tags, 0);
            answer.put("tags", tags.length() == 0 ? "" : hash(tags.toString().getBytes("UTF-8")));
            answer.put("marked", String.valueOf(catalog.getDictionaryObject(COSName.getPDFName("MarkInfo"))));
            answer.put("language", String.valueOf(document.getDocumentCatalog().getLanguage()));
            answer.put("outline", document.getDocumentCatalog().getDocumentOutline() != null);
            answer.put("title", String.valueOf(document.getDocumentInformation().getTitle()));
            answer.put("metadata", catalog.getDictionaryObject(COSName.METADATA) instanceof COSStream s ? hash(s.createInputStream()) : "");
            answer.put("pages", pages(document));
            answer.put("encrypted", document.isEncrypted());
            return answer;
        }
    }

    /** A page is its boxes, its rotation, its content and the annotations that are no signature. */
    private static Object pages(PDDocument document) throws Exception {
        java.util.List<Object> pages = new java.util.ArrayList<>();
        for (PDPage page : document.getPages()) {
            Map<String, Object> p = new LinkedHashMap<>();
            p.put("media", page.getMediaBox().toString());
            p.put("crop", page.getCropBox().toString());
            p.put("rotation", page.getRotation());
            p.put("unit", page.getUserUnit());
            try (InputStream in = page.getContents()) {
                p.put("content", in == null ? "" : hash(in));
            }
            p.put("annotations", page.getAnnotations(a -> !"Widget".equals(a.getSubtype())).size());
            pages.add(p);
        }
        return pages;
    }

    private static Map<String, Object> attachments(PDDocument document) throws Exception {
        Map<String, Object> found = new TreeMap<>();
        if (document.getDocumentCatalog().getNames() != null && document.getDocumentCatalog().getNames().getEmbeddedFiles() != null) {
            attachments(document.getDocumentCatalog().getNames().getEmbeddedFiles(), found);
        }
        return found;
    }

    private static void attachments(PDNameTreeNode<PDComplexFileSpecification> node, Map<String, Object> found) throws Exception {
        if (node.getNames() != null) {
            for (Map.Entry<String, PDComplexFileSpecification> e : node.getNames().entrySet()) {
                PDEmbeddedFile data = e.getValue().getEmbeddedFile();
                found.put(e.getKey(), data == null ? "" : hash(data.createInputStream()));
            }
        }
        if (node.getKids() != null) {
            for (PDNameTreeNode<PDComplexFileSpecification> kid : node.getKids()) {
                attachments(kid, found);
            }
        }
    }

    /** The tags of a tagged file: the type of each structure element, in order, and its text. */
    private static void tags(COSBase base, StringBuilder out, int depth) {
        if (base instanceof COSObject o) {
            base = o.getObject();
        }
        if (depth > 200) {
            return;
        }
        if (base instanceof COSArray list) {
            for (COSBase item : list) {
                tags(item, out, depth);
            }
        } else if (base instanceof COSDictionary element) {
            out.append(depth).append(element.getNameAsString(COSName.S)).append(element.getString(COSName.ALT)).append('\n');
            tags(element.getDictionaryObject(COSName.K), out, depth + 1);
        }
    }

    private static String hash(InputStream in) throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        try (in) {
            IOUtils.copy(in, all);
        }
        return hash(all.toByteArray());
    }

    static String hash(byte[] data) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-256").digest(data)) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }
}
