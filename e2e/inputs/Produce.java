import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Collections;
import java.util.List;
import org.apache.pdfbox.cos.COSArray;
import org.apache.pdfbox.cos.COSDictionary;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.cos.COSUpdateInfo;
import org.apache.pdfbox.io.IOUtils;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDDocumentNameDictionary;
import org.apache.pdfbox.pdmodel.PDEmbeddedFilesNameTreeNode;
import org.apache.pdfbox.pdmodel.PDPage;
import org.apache.pdfbox.pdmodel.PDPageContentStream;
import org.apache.pdfbox.pdmodel.PDResources;
import org.apache.pdfbox.pdmodel.common.PDRectangle;
import org.apache.pdfbox.pdmodel.common.filespecification.PDComplexFileSpecification;
import org.apache.pdfbox.pdmodel.common.filespecification.PDEmbeddedFile;
import org.apache.pdfbox.pdmodel.font.PDType1Font;
import org.apache.pdfbox.pdmodel.interactive.action.PDActionJavaScript;
import org.apache.pdfbox.pdmodel.interactive.annotation.PDAnnotation;
import org.apache.pdfbox.pdmodel.interactive.annotation.PDAnnotationRubberStamp;
import org.apache.pdfbox.pdmodel.interactive.annotation.PDAnnotationWidget;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.SignatureInterface;
import org.apache.pdfbox.pdmodel.interactive.form.PDAcroForm;
import org.apache.pdfbox.pdmodel.interactive.form.PDNonTerminalField;
import org.apache.pdfbox.pdmodel.interactive.form.PDSignatureField;
import org.apache.pdfbox.pdmodel.interactive.form.PDTextField;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/**
 * Produce makes files with PDFBox, and signs files with PDFBox and Bouncy Castle:
 *
 * <pre>
 * Produce files FOLDER
 * Produce sign IN OUT KEYSTORE.p12 PASSWORD CERTIFICATION
 * Produce edit IN FOLDER
 * </pre>
 */
public final class Produce {
    private Produce() {}

    public static void main(String[] args) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        java.security.Security.addProvider(new org.bouncycastle.jce.provider.BouncyCastleProvider());
        switch (args[0]) {
            case "files" -> files(new File(args[1]));
            case "sign" -> sign(new File(args[1]), new File(args[2]), new File(args[3]), args[4], Integer.parseInt(args[5]));
            case "edit" -> {
                for (String kind : EDITS) {
                    edit(kind, new File(args[1]), new File(args[2], kind + ".pdf"));
                }
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void files(File folder) throws Exception {
        try (PDDocument d = form()) {
            d.save(new File(folder, "pdfbox-form.pdf"));
        }
        try (PDDocument d = form()) {
            blank(d, "Contratto.Firma di Anna", new PDRectangle(60, 80, 200, 60));
            blank(d, "Contratto.\u7b7e\u540d", new PDRectangle(300, 80, 200, 60));
            blank(d, "Invisible", new PDRectangle());
            blank(d, "Invisible 2", new PDRectangle());
            d.save(new File(folder, "pdfbox-blank.pdf"));
        }
        try (PDDocument d = plain(PDRectangle.A4, "Attachments")) {
            attach(d);
            d.save(new File(folder, "pdfbox-attachments.pdf"));
        }
        for (int rotation : new int[] {90, 180, 270}) {
            try (PDDocument d = plain(PDRectangle.A4, "Rotated by " + rotation)) {
                d.getPages().forEach(p -> p.setRotation(rotation));
                d.save(new File(folder, "pdfbox-rotated-" + rotation + ".pdf"));
            }
        }
        try (PDDocument d = plain(new PDRectangle(-100, 50, 700, 900), "Cropped")) {
            d.getPages().forEach(p -> p.setCropBox(new PDRectangle(-20, 90, 500, 700)));
            d.save(new File(folder, "pdfbox-cropped.pdf"));
        }
        try (PDDocument d = plain(new PDRectangle(300, 400), "User unit")) {
            d.getPages().forEach(p -> p.setUserUnit(2.5f));
            d.setVersion(1.6f);
            d.save(new File(folder, "pdfbox-userunit.pdf"));
        }
        try (PDDocument d = plain(PDRectangle.LETTER, "PDF 2.0")) {
            d.setVersion(2.0f);
            d.getDocument().setVersion(2.0f);
            d.save(new File(folder, "pdfbox-2.0.pdf"));
        }
    }

    private static PDDocument plain(PDRectangle box, String title) throws IOException {
        PDDocument d = new PDDocument();
        d.getDocumentInformation().setTitle(title);
        for (int n = 1; n <= 2; n++) {
            PDPage page = new PDPage(box);
            d.addPage(page);
            try (PDPageContentStream c = new PDPageContentStream(d, page)) {
                c.beginText();
                c.setFont(PDType1Font.TIMES_ROMAN, 24);
                c.newLineAtOffset(box.getLowerLeftX() + 130, box.getLowerLeftY() + 300);
                c.showText(title + ", page " + n);
                c.endText();
                c.setLineWidth(3);
                c.addRect(box.getLowerLeftX() + 10, box.getLowerLeftY() + 10, box.getWidth() - 20, box.getHeight() - 20);
                c.stroke();
            }
        }
        return d;
    }

    /** A form with a tree of fields, of which some have names outside ASCII. */
    private static PDDocument form() throws IOException {
        PDDocument d = plain(PDRectangle.A4, "Form");
        PDAcroForm form = new PDAcroForm(d);
        d.getDocumentCatalog().setAcroForm(form);
        PDResources resources = new PDResources();
        resources.put(COSName.getPDFName("Helv"), PDType1Font.HELVETICA);
        form.setDefaultResources(resources);
        form.setDefaultAppearance("/Helv 12 Tf 0 g");

        PDNonTerminalField contract = new PDNonTerminalField(form);
        contract.setPartialName("Contratto");
        PDNonTerminalField person = new PDNonTerminalField(form);
        person.setPartialName("Persona \u00e8");
        PDTextField name = text(d, form, "\u59d3\u540d", "Anna Bianchi", 600);
        PDTextField town = text(d, form, "Citt\u00e0", "Forl\u00ec", 560);
        person.setChildren(List.of(name, town));
        contract.setChildren(List.of(person));
        person.getCOSObject().setItem(COSName.PARENT, contract);
        PDTextField loose = text(d, form, "Amount", "1 000,50", 520);
        form.setFields(List.of(contract, loose));
        return d;
    }

    private static PDTextField text(PDDocument d, PDAcroForm form, String name, String value, float y) throws IOException {
        PDTextField field = new PDTextField(form);
        field.setPartialName(name);
        field.setDefaultAppearance("/Helv 12 Tf 0 g");
        PDAnnotationWidget widget = field.getWidgets().get(0);
        widget.setRectangle(new PDRectangle(60, y, 240, 24));
        widget.setPage(d.getPage(0));
        widget.setPrinted(true);
        d.getPage(0).getAnnotations().add(widget);
        field.setValue(value);
        return field;
    }

    /** A signature field that nobody has signed; the name may have dots. */
    private static void blank(PDDocument d, String name, PDRectangle box) throws IOException {
        PDAcroForm form = d.getDocumentCatalog().getAcroForm();
        PDSignatureField field = new PDSignatureField(form);
        PDNonTerminalField parent = null;
        int dot = name.indexOf('.');
        if (dot > 0) {
            parent = (PDNonTerminalField) form.getField(name.substring(0, dot));
        }
        field.setPartialName(name.substring(dot + 1));
        PDAnnotationWidget widget = field.getWidgets().get(0);
        widget.setRectangle(box);
        widget.setPage(d.getPage(0));
        widget.setPrinted(true);
        d.getPage(0).getAnnotations().add(widget);
        if (parent == null) {
            List<org.apache.pdfbox.pdmodel.interactive.form.PDField> fields = new java.util.ArrayList<>(form.getFields());
            fields.add(field);
            form.setFields(fields);
        } else {
            List<org.apache.pdfbox.pdmodel.interactive.form.PDField> fields = new java.util.ArrayList<>(parent.getChildren());
            fields.add(field);
            parent.setChildren(fields);
            field.getCOSObject().setItem(COSName.PARENT, parent);
        }
    }

    private static void attach(PDDocument d) throws IOException {
        PDEmbeddedFilesNameTreeNode tree = new PDEmbeddedFilesNameTreeNode();
        byte[] data = "Positions of the order\r\n1;pump;2\r\n".getBytes(StandardCharsets.UTF_8);
        PDEmbeddedFile file = new PDEmbeddedFile(d, new ByteArrayInputStream(data));
        file.setSubtype("text/csv");
        file.setSize(data.length);
        PDComplexFileSpecification specification = new PDComplexFileSpecification();
        specification.setFile("order.csv");
        specification.setFileUnicode("order \u00e8.csv");
        specification.setEmbeddedFile(file);
        tree.setNames(Collections.singletonMap("order.csv", specification));
        PDDocumentNameDictionary names = new PDDocumentNameDictionary(d.getDocumentCatalog());
        names.setEmbeddedFiles(tree);
        d.getDocumentCatalog().setNames(names);
    }

    /** Signs a file in an incremental update; certification is P of DocMDP, or 0. */
    private static void sign(File in, File out, File store, String password, int certification) throws Exception {
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream s = new FileInputStream(store)) {
            keys.load(s, password.toCharArray());
        }
        String alias = keys.aliases().nextElement();
        PrivateKey key = (PrivateKey) keys.getKey(alias, password.toCharArray());
        Certificate[] chain = keys.getCertificateChain(alias);
        try (PDDocument d = PDDocument.load(in); FileOutputStream o = new FileOutputStream(out)) {
            PDSignature signature = new PDSignature();
            signature.setFilter(PDSignature.FILTER_ADOBE_PPKLITE);
            signature.setSubFilter(PDSignature.SUBFILTER_ADBE_PKCS7_DETACHED);
            signature.setName("Carla");
            signature.setSignDate(Calendar.getInstance());
            if (certification > 0) {
                certify(d, signature, certification);
            }
            SignatureInterface signer = content -> {
                try {
                    CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
                    String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
                    generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build())
                            .build(new JcaContentSignerBuilder(algorithm).build(key), (X509Certificate) chain[0]));
                    generator.addCertificates(new JcaCertStore(Arrays.asList(chain)));
                    return generator.generate(new CMSProcessableByteArray(IOUtils.toByteArray(content)), false).getEncoded("DER");
                } catch (Exception e) {
                    throw new IOException(e);
                }
            };
            d.addSignature(signature, signer);
            d.saveIncremental(o);
        }
    }

    private static void certify(PDDocument d, PDSignature signature, int level) {
        COSDictionary parameters = new COSDictionary();
        parameters.setItem(COSName.TYPE, COSName.getPDFName("TransformParams"));
        parameters.setInt(COSName.P, level);
        parameters.setName(COSName.V, "1.2");
        parameters.setNeedToBeUpdated(true);
        COSDictionary reference = new COSDictionary();
        reference.setItem(COSName.TYPE, COSName.getPDFName("SigRef"));
        reference.setItem("TransformMethod", COSName.DOCMDP);
        reference.setItem("TransformParams", parameters);
        reference.setNeedToBeUpdated(true);
        COSArray references = new COSArray();
        references.add(reference);
        references.setNeedToBeUpdated(true);
        signature.getCOSObject().setItem("Reference", references);
        COSDictionary catalog = d.getDocumentCatalog().getCOSObject();
        COSDictionary permissions = new COSDictionary();
        permissions.setItem(COSName.DOCMDP, signature);
        permissions.setNeedToBeUpdated(true);
        catalog.setItem(COSName.PERMS, permissions);
        catalog.setNeedToBeUpdated(true);
    }

    private static final List<String> EDITS = List.of("content", "annotation", "page", "shadow-pages", "shadow-resources",
            "rotation", "attachment", "script", "permissions", "value");

    /** Changes a file in an incremental update, as an attacker does, or an editor that knows nothing of signatures. */
    private static void edit(String kind, File in, File out) throws Exception {
        try (PDDocument d = PDDocument.load(in); FileOutputStream o = new FileOutputStream(out)) {
            PDPage page = d.getPage(0);
            COSDictionary catalog = d.getDocumentCatalog().getCOSObject();
            switch (kind) {
                case "content" -> overprint(d, page);
                case "annotation" -> {
                    PDAnnotationRubberStamp stamp = new PDAnnotationRubberStamp();
                    stamp.setName("Void");
                    stamp.setRectangle(new PDRectangle(100, 100, 300, 300));
                    List<PDAnnotation> list = page.getAnnotations();
                    list.add(stamp);
                    page.setAnnotations(list);
                    changed(page.getCOSObject(), page.getCOSObject().getCOSArray(COSName.ANNOTS));
                }
                case "page" -> {
                    PDPage extra = new PDPage(page.getMediaBox());
                    d.addPage(extra);
                    overprint(d, extra);
                    changed(extra.getCOSObject(), d.getDocumentCatalog().getPages().getCOSObject());
                }
                case "shadow-pages" -> { // the whole tree of pages is another
                    COSDictionary pages = new COSDictionary();
                    pages.setItem(COSName.TYPE, COSName.PAGES);
                    PDPage other = new PDPage(page.getMediaBox());
                    other.getCOSObject().setItem(COSName.PARENT, pages);
                    COSArray kids = new COSArray();
                    kids.add(other);
                    pages.setItem(COSName.KIDS, kids);
                    pages.setInt(COSName.COUNT, 1);
                    overprint(d, other);
                    catalog.setItem(COSName.PAGES, pages);
                    changed(pages, other.getCOSObject());
                }
                case "shadow-resources" -> { // the same content with other fonts
                    page.setResources(new PDResources());
                    page.getResources().put(COSName.getPDFName("F1"), PDType1Font.SYMBOL);
                    changed(page.getCOSObject());
                }
                case "rotation" -> {
                    page.setRotation(180);
                    changed(page.getCOSObject());
                }
                case "attachment" -> {
                    attach(d);
                    changed(catalog.getCOSDictionary(COSName.NAMES));
                }
                case "script" -> {
                    d.getDocumentCatalog().setOpenAction(new PDActionJavaScript("this.getField('Amount').value = '2'"));
                    changed(catalog.getCOSDictionary(COSName.OPEN_ACTION));
                }
                case "permissions" -> {
                    catalog.removeItem(COSName.PERMS);
                    overprint(d, page);
                }
                case "value" -> {
                    PDTextField field = (PDTextField) d.getDocumentCatalog().getAcroForm().getField("Amount");
                    field.setValue("9 999,99");
                    changed(field.getCOSObject(), field.getWidgets().get(0).getAppearance().getCOSObject());
                    changed((COSDictionary) field.getWidgets().get(0).getAppearance().getNormalAppearance().getCOSObject());
                }
                default -> throw new IllegalArgumentException(kind);
            }
            // PDFBox writes a changed object only when all on the way to it are marked too.
            COSDictionary pages = d.getDocumentCatalog().getPages().getCOSObject();
            COSDictionary form = d.getDocumentCatalog().getAcroForm().getCOSObject();
            changed(catalog, pages, pages.getCOSArray(COSName.KIDS), form, form.getCOSArray(COSName.FIELDS));
            d.saveIncremental(o);
        }
    }

    private static void changed(COSUpdateInfo... objects) {
        for (COSUpdateInfo object : objects) {
            object.setNeedToBeUpdated(true);
        }
    }

    private static void overprint(PDDocument d, PDPage page) throws IOException {
        try (PDPageContentStream c = new PDPageContentStream(d, page, PDPageContentStream.AppendMode.APPEND, true)) {
            c.beginText();
            c.setFont(PDType1Font.COURIER_BOLD, 30);
            c.newLineAtOffset(100, 400);
            c.showText("The price is doubled");
            c.endText();
        }
        changed(page.getCOSObject(), page.getResources().getCOSObject(), page.getResources().getCOSObject().getCOSDictionary(COSName.FONT));
        if (page.getCOSObject().getDictionaryObject(COSName.CONTENTS) instanceof COSArray contents) {
            changed(contents);
            for (int i = 0; i < contents.size(); i++) {
                changed((COSUpdateInfo) contents.getObject(i));
            }
        }
    }
}
