import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Trust finds the way from a certificate to one that is trusted. */
final class Trust {
    private final Set<TrustAnchor> anchors = new HashSet<>();

    Trust(Path pem) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
        for (var c : factory.generateCertificates(new ByteArrayInputStream(Files.readAllBytes(pem)))) {
            anchors.add(new TrustAnchor((X509Certificate) c, null));
        }
    }

    /** The chain from the certificate to the trusted one, both included. */
    List<X509Certificate> chain(X509Certificate leaf, Collection<X509Certificate> others, Date at) throws Exception {
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(leaf);
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
        parameters.setRevocationEnabled(false);
        parameters.setDate(at);
        List<X509Certificate> known = new ArrayList<>(others);
        known.add(leaf);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(known), "BC"));
        PKIXCertPathBuilderResult result = (PKIXCertPathBuilderResult) CertPathBuilder.getInstance("PKIX", "BC").build(parameters);
        List<X509Certificate> chain = new ArrayList<>();
        for (var c : result.getCertPath().getCertificates()) {
            chain.add((X509Certificate) c);
        }
        X509Certificate anchor = result.getTrustAnchor().getTrustedCert();
        if (chain.isEmpty() || !chain.get(chain.size() - 1).equals(anchor)) {
            chain.add(anchor);
        }
        return chain;
    }
}
