import java.io.ByteArrayInputStream;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateID;
import org.bouncycastle.cert.ocsp.OCSPException;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** Revocation is the certificates, OCSP answers and revocation lists that lie with a signature. */
final class Revocation {
    final Set<X509Certificate> certificates = new LinkedHashSet<>();
    final List<BasicOCSPResp> answers = new ArrayList<>();
    final List<X509CRL> lists = new ArrayList<>();
    final List<String> problems = new ArrayList<>();
    final List<String> rawAnswers = new ArrayList<>();
    final List<String> rawLists = new ArrayList<>();
    final List<String> rawCertificates = new ArrayList<>();

    void certificate(byte[] der) {
        try {
            certificates.add((X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(der)));
            rawCertificates.add(Base64.getEncoder().encodeToString(der));
        } catch (Exception e) {
            problems.add("certificate: " + e);
        }
    }

    void answer(byte[] der) {
        try {
            OCSPResp response = new OCSPResp(der);
            if (response.getStatus() != OCSPResp.SUCCESSFUL) {
                problems.add("OCSP answer with status " + response.getStatus());
                return;
            }
            answer((BasicOCSPResp) response.getResponseObject());
            rawAnswers.add(Base64.getEncoder().encodeToString(der));
        } catch (Exception e) {
            problems.add("OCSP answer: " + e);
        }
    }

    void answer(BasicOCSPResp basic) throws Exception {
        answers.add(basic);
        for (X509CertificateHolder holder : basic.getCerts()) {
            certificates.add(new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder));
        }
    }

    void list(byte[] der) {
        try {
            lists.add((X509CRL) CertificateFactory.getInstance("X.509", "BC").generateCRL(new ByteArrayInputStream(der)));
            rawLists.add(Base64.getEncoder().encodeToString(der));
        } catch (Exception e) {
            problems.add("revocation list: " + e);
        }
    }

    /** What covers each certificate of a chain but the trusted one: "ocsp", "crl", or why nothing does. */
    List<Object> coverage(List<X509Certificate> chain, Date at) throws Exception {
        List<Object> covered = new ArrayList<>();
        for (int i = 0; i + 1 < chain.size(); i++) {
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("subject", chain.get(i).getSubjectX500Principal().getName());
            one.put("by", by(chain.get(i), chain.get(i + 1), at));
            covered.add(one);
        }
        return covered;
    }

    private String by(X509Certificate certificate, X509Certificate issuer, Date at) throws Exception {
        String why = "nothing";
        if (certificate.getExtensionValue(OCSPObjectIdentifiers.id_pkix_ocsp_nocheck.getId()) != null) {
            return "nocheck";
        }
        for (BasicOCSPResp answer : answers) {
            for (SingleResp single : answer.getResponses()) {
                if (!matches(single.getCertID(), certificate, issuer)) {
                    continue;
                }
                if (!signedFor(answer, issuer)) {
                    why = "an OCSP answer that nobody entitled signed";
                } else if (single.getCertStatus() != null) {
                    return "revoked by OCSP";
                } else {
                    return "ocsp";
                }
            }
        }
        for (X509CRL list : lists) {
            if (!list.getIssuerX500Principal().equals(issuer.getSubjectX500Principal())) {
                continue;
            }
            try {
                list.verify(issuer.getPublicKey(), "BC");
            } catch (Exception e) {
                why = "a revocation list with a wrong signature";
                continue;
            }
            return list.isRevoked(certificate) ? "revoked by CRL" : "crl";
        }
        return why;
    }

    private static boolean matches(CertificateID id, X509Certificate certificate, X509Certificate issuer) throws Exception {
        return id.getSerialNumber().equals(certificate.getSerialNumber())
                && id.matchesIssuer(new JcaX509CertificateHolder(issuer), new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
    }

    /** An answer is signed by the issuer, or by one to whom the issuer gave the task (RFC 6960, 4.2.2.2). */
    private static boolean signedFor(BasicOCSPResp answer, X509Certificate issuer) throws Exception {
        if (signedBy(answer, new JcaX509CertificateHolder(issuer))) {
            return true;
        }
        for (X509CertificateHolder holder : answer.getCerts()) {
            X509Certificate responder = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
            List<String> usage = responder.getExtendedKeyUsage();
            try {
                responder.verify(issuer.getPublicKey(), "BC");
            } catch (Exception e) {
                continue;
            }
            if (usage != null && usage.contains("1.3.6.1.5.5.7.3.9") && signedBy(answer, holder)) {
                return true;
            }
        }
        return false;
    }

    /** A key of another type than the signature's is a key that did not make it. */
    private static boolean signedBy(BasicOCSPResp answer, X509CertificateHolder holder) throws Exception {
        try {
            return answer.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider("BC").build(holder));
        } catch (OCSPException e) {
            return false;
        }
    }

    Map<String, Object> report() {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("certificates", rawCertificates);
        report.put("ocsps", rawAnswers);
        report.put("crls", rawLists);
        report.put("problems", problems);
        return report;
    }

    void addAll(Collection<X509Certificate> more) {
        certificates.addAll(more);
    }
}
