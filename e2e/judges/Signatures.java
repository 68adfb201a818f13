import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.pdfbox.cos.COSArray;
import org.apache.pdfbox.cos.COSBase;
import org.apache.pdfbox.cos.COSDictionary;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.cos.COSStream;
import org.apache.pdfbox.io.IOUtils;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.apache.pdfbox.pdmodel.interactive.form.PDSignatureField;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.ocsp.OCSPResponse;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;

/** Signatures judges the signatures of PDF and CMS files. */
final class Signatures {
    private final Trust trust;
    private final Revocation revocation = new Revocation();

    private Signatures(Trust trust) {
        this.trust = trust;
    }

    // PDF

    static Map<String, Object> of(File file, Trust trust) throws Exception {
        Signatures judge = new Signatures(trust);
        Map<String, Object> answer = new LinkedHashMap<>();
        try (PDDocument document = PDDocument.load(file)) {
            COSDictionary catalog = document.getDocumentCatalog().getCOSObject();
            Map<String, Object> store = judge.store(catalog);
            List<Object> signatures = new ArrayList<>();
            byte[] all = Files.readAllBytes(file.toPath());
            Set<String> known = new LinkedHashSet<>();
            for (PDSignatureField field : document.getSignatureFields()) {
                PDSignature signature = field.getSignature();
                if (signature != null) {
                    signatures.add(judge.pdf(field.getFullyQualifiedName(), signature, all, known));
                }
            }
            answer.put("signatures", signatures);
            answer.put("store", store);
            List<String> vri = new ArrayList<>();
            List<String> strangers = new ArrayList<>();
            if (catalog.getDictionaryObject(COSName.getPDFName("DSS")) instanceof COSDictionary dss
                    && dss.getDictionaryObject(COSName.getPDFName("VRI")) instanceof COSDictionary entries) {
                for (COSName name : entries.keySet()) {
                    (known.contains(name.getName()) ? vri : strangers).add(name.getName());
                }
            }
            answer.put("vri", vri);
            answer.put("vriStrangers", strangers);
            answer.put("certification", certification(catalog));
        }
        return answer;
    }

    private Map<String, Object> store(COSDictionary catalog) throws Exception {
        if (!(catalog.getDictionaryObject(COSName.getPDFName("DSS")) instanceof COSDictionary dss)) {
            return null;
        }
        each(dss, "Certs", revocation::certificate);
        each(dss, "OCSPs", revocation::answer);
        each(dss, "CRLs", revocation::list);
        return revocation.report();
    }

    private interface Taker {
        void take(byte[] der);
    }

    private void each(COSDictionary dss, String key, Taker taker) throws Exception {
        if (!(dss.getDictionaryObject(COSName.getPDFName(key)) instanceof COSArray list)) {
            return;
        }
        for (int i = 0; i < list.size(); i++) {
            COSBase item = list.getObject(i);
            if (!(item instanceof COSStream stream)) {
                revocation.problems.add(key + " holds what is no stream");
                continue;
            }
            ByteArrayOutputStream der = new ByteArrayOutputStream();
            try (InputStream in = stream.createInputStream()) {
                IOUtils.copy(in, der);
            }
            taker.take(der.toByteArray());
        }
    }

    private static Object certification(COSDictionary catalog) {
        if (!(catalog.getDictionaryObject(COSName.PERMS) instanceof COSDictionary perms)
                || !(perms.getDictionaryObject(COSName.DOCMDP) instanceof COSDictionary signature)
                || !(signature.getDictionaryObject(COSName.getPDFName("Reference")) instanceof COSArray references)) {
            return 0;
        }
        for (int i = 0; i < references.size(); i++) {
            if (references.getObject(i) instanceof COSDictionary reference
                    && reference.getDictionaryObject(COSName.getPDFName("TransformParams")) instanceof COSDictionary parameters
                    && COSName.DOCMDP.equals(reference.getDictionaryObject(COSName.getPDFName("TransformMethod")))) {
                return parameters.getInt(COSName.P, 2);
            }
        }
        return 0;
    }

    private Map<String, Object> pdf(String name, PDSignature signature, byte[] all, Set<String> known) {
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("field", name);
        one.put("subFilter", signature.getSubFilter());
        try {
            int[] range = signature.getByteRange();
            byte[] contents = signature.getContents();
            known.add(sha1(contents));
            byte[] exact = exact(contents);
            known.add(sha1(exact));
            boolean sound = range.length == 4 && range[0] == 0 && range[1] > 0 && range[2] > range[1] && (long) range[2] + range[3] <= all.length
                    && all[range[1]] == '<' && all[range[2] - 1] == '>' && range[2] - range[1] == 2 * contents.length + 2;
            one.put("rangeSound", sound);
            one.put("whole", sound && range[2] + range[3] == all.length);
            byte[] signed = new byte[range[1] + range[3]];
            System.arraycopy(all, 0, signed, 0, range[1]);
            System.arraycopy(all, range[2], signed, range[1], range[3]);
            one.put("range", Arrays.asList(range[0], range[1], range[2], range[3]));
            if ("ETSI.RFC3161".equals(signature.getSubFilter())) {
                one.put("timestamp", timestamp(exact, signed));
                return one;
            }
            CMSSignedData cms = new CMSSignedData(new CMSProcessableByteArray(signed), exact);
            one.put("signers", signers(cms, new Date()));
        } catch (Exception e) {
            one.put("problem", String.valueOf(e));
        }
        return one;
    }

    /** The signature without the zeros that fill the reserved place. */
    private static byte[] exact(byte[] padded) throws Exception {
        try (ASN1InputStream in = new ASN1InputStream(padded)) {
            int before = in.available();
            in.readObject();
            return Arrays.copyOf(padded, before - in.available());
        }
    }

    private static String sha1(byte[] data) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-1").digest(data)) {
            hex.append(String.format("%02X", b));
        }
        return hex.toString();
    }

    // CMS

    @SuppressWarnings("unchecked")
    static Map<String, Object> ofCms(byte[] file, byte[] content, Trust trust) throws Exception {
        Signatures judge = new Signatures(trust);
        Map<String, Object> answer = new LinkedHashMap<>();
        CMSSignedData cms = content == null ? new CMSSignedData(file) : new CMSSignedData(new CMSProcessableByteArray(content), file);
        answer.put("attached", content == null && cms.getSignedContent() != null);
        if (content == null && cms.getSignedContent() != null) {
            ByteArrayOutputStream inside = new ByteArrayOutputStream();
            cms.getSignedContent().write(inside);
            answer.put("content", Content.hash(inside.toByteArray()));
        }
        for (X509CertificateHolder holder : cms.getCertificates().getMatches(null)) {
            judge.revocation.certificate(holder.getEncoded());
        }
        for (Object list : cms.getCRLs().getMatches(null)) {
            judge.revocation.list(((X509CRLHolder) list).getEncoded());
        }
        for (Object other : ((Store<ASN1Encodable>) cms.getOtherRevocationInfo(CMSObjectIdentifiers.id_ri_ocsp_response)).getMatches(null)) {
            judge.revocation.answer(OCSPResponse.getInstance(other).getEncoded());
        }
        answer.put("signers", judge.signers(cms, new Date()));
        answer.put("store", judge.revocation.report());
        return answer;
    }

    private List<Object> signers(CMSSignedData cms, Date now) throws Exception {
        List<Object> signers = new ArrayList<>();
        Collection<X509Certificate> pool = new LinkedHashSet<>(revocation.certificates);
        for (X509CertificateHolder holder : cms.getCertificates().getMatches(null)) {
            pool.add(new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder));
        }
        for (SignerInformation signer : cms.getSignerInfos().getSigners()) {
            signers.add(signer(cms, signer, pool, now));
        }
        return signers;
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> signer(CMSSignedData cms, SignerInformation signer, Collection<X509Certificate> pool, Date now) {
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("signatureAlgorithm", signer.getEncryptionAlgOID());
        one.put("digestAlgorithm", signer.getDigestAlgOID());
        one.put("value", Base64.getEncoder().encodeToString(signer.getSignature()));
        try {
            Collection<X509CertificateHolder> matches = cms.getCertificates().getMatches((Selector<X509CertificateHolder>) signer.getSID());
            if (matches.isEmpty()) {
                throw new IllegalStateException("the certificate of the signer is missing");
            }
            X509CertificateHolder holder = matches.iterator().next();
            X509Certificate certificate = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
            one.put("subject", certificate.getSubjectX500Principal().getName());
            one.put("certificate", Base64.getEncoder().encodeToString(certificate.getEncoded()));
            // The time of the check is that of the time-stamp, so that the date in the attributes is not believed.
            one.put("valid", signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate.getPublicKey())));
            AttributeTable signed = signer.getSignedAttributes();
            one.put("signingCertificate", signed != null && names(signed.get(PKCSObjectIdentifiers.id_aa_signingCertificateV2), holder));
            one.put("signingTime", signed != null && signed.get(CMSAttributes.signingTime) != null);
            Date at = now;
            AttributeTable unsigned = signer.getUnsignedAttributes();
            Attribute token = unsigned == null ? null : unsigned.get(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken);
            if (token != null) {
                Map<String, Object> timestamp = timestamp(token.getAttrValues().getObjectAt(0).toASN1Primitive().getEncoded(), signer.getSignature());
                one.put("timestamp", timestamp);
            }
            List<X509Certificate> chain = trust.chain(certificate, pool, at);
            one.put("trusted", true);
            one.put("revocation", revocation.coverage(chain, at));
        } catch (Exception e) {
            one.put("problem", String.valueOf(e));
        }
        return one;
    }

    private static boolean names(Attribute attribute, X509CertificateHolder certificate) throws Exception {
        if (attribute == null || attribute.getAttrValues().size() != 1) {
            return false;
        }
        ESSCertIDv2 id = SigningCertificateV2.getInstance(attribute.getAttrValues().getObjectAt(0)).getCerts()[0];
        MessageDigest digest = MessageDigest.getInstance(id.getHashAlgorithm().getAlgorithm().getId(), "BC");
        return Arrays.equals(digest.digest(certificate.getEncoded()), id.getCertHash());
    }

    /** A time-stamp over data, RFC 3161. */
    @SuppressWarnings("unchecked")
    private Map<String, Object> timestamp(byte[] der, byte[] data) {
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("token", Base64.getEncoder().encodeToString(der));
        try {
            TimeStampToken token = new TimeStampToken(ContentInfo.getInstance(der));
            Collection<X509CertificateHolder> matches = token.getCertificates().getMatches(token.getSID());
            X509CertificateHolder holder = null;
            if (!matches.isEmpty()) {
                holder = matches.iterator().next();
            }
            if (holder == null) {
                throw new IllegalStateException("the certificate of the time-stamp authority is missing");
            }
            one.put("subject", holder.getSubject().toString());
            one.put("time", token.getTimeStampInfo().getGenTime().getTime() / 1000);
            MessageDigest digest = MessageDigest.getInstance(token.getTimeStampInfo().getMessageImprintAlgOID().getId(), "BC");
            one.put("imprint", Arrays.equals(digest.digest(data), token.getTimeStampInfo().getMessageImprintDigest()));
            token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder)); // throws when it is not valid
            one.put("valid", true);
            Collection<X509Certificate> pool = new LinkedHashSet<>(revocation.certificates);
            for (X509CertificateHolder h : token.getCertificates().getMatches(null)) {
                pool.add(new JcaX509CertificateConverter().setProvider("BC").getCertificate(h));
            }
            X509Certificate certificate = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
            List<X509Certificate> chain = trust.chain(certificate, pool, token.getTimeStampInfo().getGenTime());
            one.put("trusted", true);
            one.put("revocation", revocation.coverage(chain, token.getTimeStampInfo().getGenTime()));
        } catch (Exception e) {
            one.put("problem", String.valueOf(e));
        }
        return one;
    }
}
