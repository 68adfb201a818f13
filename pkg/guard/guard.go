// Package guard keeps outgoing connections whose address came from outside (a webhook, a
// certificate) away from networks that are not public.
package guard

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrRefused means that a connection would have gone to an address that is not
// public and that the configuration does not allow.
var ErrRefused = errors.New("address is not public and not allowed by configuration")

// Guard decides which network addresses may be connected to. It judges the resolved
// address at the moment of connecting, so a name that changes its address between two
// look-ups gains nothing. Fail closed: what can't be read as an address is refused,
// and of IPv6 only what is global unicast today is public.
type Guard struct {
	allow []netip.Prefix
}

// New makes a guard that also allows the given networks, such as 127.0.0.0/8 for
// development. An IPv4 network also covers its IPv4-mapped IPv6 form.
func New(allow ...netip.Prefix) Guard {
	masked := make([]netip.Prefix, 0, len(allow))
	for _, p := range allow {
		if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
		}
		masked = append(masked, p.Masked())
	}
	return Guard{allow: masked}
}

// Control has the form of net.Dialer.Control: it refuses the connection before the
// first packet leaves.
func (g Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" && network != "tcp" {
		return ErrRefused
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrRefused
	}
	return g.Check(target.Addr())
}

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 64 << 10

// Transport returns an HTTP transport that connects only where the guard lets it. Connecting
// and the TLS handshake may take the timeout each; TLS is at least of version 1.2. Its other
// fields are the caller's to set.
func (g Guard) Transport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, Control: g.Control}
	return &http.Transport{
		// No proxy, not even from the environment: the guard would judge the proxy's
		// address instead of the target's.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		// What is packed small may unpack to anything.
		DisableCompression: true,
	}
}

// Check returns [ErrRefused] unless the address is public or allowed.
func (g Guard) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if public(addr) {
		return nil
	}
	return ErrRefused
}

// public says whether an unmapped address belongs to the open Internet.
func public(addr netip.Addr) bool {
	if addr.Is4() {
		return !containsAny(special4, addr)
	}
	if !addr.Is6() {
		return false
	}
	if inner, ok := embedded4(addr); ok {
		return public(inner)
	}
	return globalUnicast6.Contains(addr) && !containsAny(special6, addr)
}

// embedded4 finds the IPv4 address to which a translator or a tunnel would carry the
// packet: NAT64 (RFC 6052), 6to4 (RFC 3056) and ISATAP (RFC 5214). The other embedding
// forms (compatible, translated, local NAT64, Teredo) are refused as a whole.
func embedded4(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case globalUnicast6.Contains(addr) && b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		inner := netip.AddrFrom4([4]byte(b[12:16]))
		// The prefix has to be public as well, so a public inner address decides nothing.
		return inner, !public(inner)
	}
	return netip.Addr{}, false
}

func containsAny(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

var (
	globalUnicast6 = netip.MustParsePrefix("2000::/3")
	nat64          = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour      = netip.MustParsePrefix("2002::/16")
)

// special4 follows the IANA registry of special-purpose IPv4 addresses, and adds the
// one public address at which a large cloud answers its machines with credentials.
var special4 = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network, unspecified
	netip.MustParsePrefix("10.0.0.0/8"),       // private
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback
	netip.MustParsePrefix("168.63.129.16/32"), // platform service of a cloud
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local, cloud metadata
	netip.MustParsePrefix("172.16.0.0/12"),    // private
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.31.196.0/24"),  // AS112
	netip.MustParsePrefix("192.52.193.0/24"),  // AMT
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),   // private
	netip.MustParsePrefix("192.175.48.0/24"),  // AS112
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("224.0.0.0/4"),      // multicast
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
}

// special6 lists what is not public within global unicast.
var special6 = []netip.Prefix{
	netip.MustParsePrefix("2001::/23"),         // protocol assignments: Teredo, benchmarks, ORCHID
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3fff::/20"),         // documentation
}
