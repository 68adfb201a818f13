package guard_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/guard"
)

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	g := guard.New()
	for name, addresses := range map[string][]string{
		"unspecified":        {"0.0.0.0", "0.1.2.3", "::"},
		"loopback":           {"127.0.0.1", "127.255.255.254", "::1"},
		"private":            {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254"},
		"link-local":         {"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1"},
		"carrier-grade NAT":  {"100.64.0.1", "100.100.100.200", "100.127.255.255"},
		"cloud platform":     {"168.63.129.16", "192.0.0.192"},
		"multicast":          {"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"},
		"broadcast":          {"255.255.255.255", "240.0.0.1"},
		"documentation":      {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"},
		"benchmark":          {"198.18.0.1", "198.19.255.255", "2001:2::1"},
		"discard":            {"100::1"},
		"segment routing":    {"5f00::1"},
		"IPv4-mapped":        {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"},
		"IPv4-compatible":    {"::127.0.0.1", "::10.0.0.1", "::8.8.8.8"},
		"IPv4-translated":    {"::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"},
		"6to4":               {"2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"},
		"NAT64":              {"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8"},
		"Teredo":             {"2001:0:5ef5:79fd:0:59d:a0a8:fefe", "2001:0:7f00:1::1"},
		"ISATAP":             {"2600::5efe:10.0.0.1", "2600::200:5efe:192.168.1.1"},
		"not allocated":      {"4000::1", "8000::1", "e000::1"},
		"protocol anycast":   {"192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2001:1::1", "2620:4f:8000::1"},
		"old site and 6bone": {"fec0::1", "feff::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, address := range addresses {
				require.ErrorIs(t, g.Check(netip.MustParseAddr(address)), guard.ErrRefused, address)
			}
		})
	}
	require.ErrorIs(t, g.Check(netip.Addr{}), guard.ErrRefused, "no address at all")
}

func TestGuardLetsPublicAddressesPass(t *testing.T) {
	t.Parallel()
	g := guard.New()
	for _, address := range []string{
		"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "11.0.0.1", "198.20.0.1", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2600::5efe:8.8.8.8",
	} {
		require.NoError(t, g.Check(netip.MustParseAddr(address)), address)
	}
}

func TestGuardAllowList(t *testing.T) {
	t.Parallel()
	g := guard.New(
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("fd12:3456::/32"), netip.MustParsePrefix("::ffff:10.1.0.0/112"),
	)
	for _, address := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "fd12:3456::9", "10.1.2.3", "8.8.8.8"} {
		require.NoError(t, g.Check(netip.MustParseAddr(address)), address)
	}
	for _, address := range []string{"10.2.0.1", "::2", "fd12:3457::9", "169.254.169.254", "2002:7f00:1::1", "64:ff9b::127.0.0.1"} {
		require.ErrorIs(t, g.Check(netip.MustParseAddr(address)), guard.ErrRefused, address)
	}
}

func TestGuardControl(t *testing.T) {
	t.Parallel()
	g := guard.New()
	require.NoError(t, g.Control("tcp4", "8.8.8.8:443", nil))
	require.NoError(t, g.Control("tcp6", "[2606:4700:4700::1111]:443", nil))
	for _, c := range [][2]string{
		{"tcp4", "127.0.0.1:443"}, {"tcp6", "[fe80::1%eth0]:443"}, {"udp4", "8.8.8.8:53"}, {"unix", "/run/docker.sock"},
		{"tcp", "localhost:80"}, {"tcp4", "8.8.8.8"}, {"tcp4", ""},
	} {
		require.ErrorIs(t, g.Control(c[0], c[1], nil), guard.ErrRefused, "%v", c)
	}
}

func TestTransportRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	t.Setenv("HTTP_PROXY", server.URL) // A proxy would be judged in the target's place.
	for name, c := range map[string]struct {
		guard guard.Guard
		err   error
	}{
		"strict": {guard.New(), guard.ErrRefused}, "allowed": {guard.New(netip.MustParsePrefix("127.0.0.0/8")), nil},
	} {
		transport := c.guard.Transport(time.Minute)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		response, err := transport.RoundTrip(r)
		require.ErrorIs(t, err, c.err, name)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		transport.CloseIdleConnections()
	}
}

// FuzzGuard holds the guard against the standard library's own idea of addresses that
// are never public, for the address itself and for every IPv4 address that its IPv6
// neighbours could carry.
func FuzzGuard(f *testing.F) {
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "8.8.8.8", "169.254.169.254", "fe80::1", "2002:7f00:1::1", "64:ff9b::a00:1", "2606:4700::1"} {
		f.Add(netip.MustParseAddr(address).AsSlice())
	}
	g := guard.New()
	never := func(a netip.Addr) bool {
		return a.IsUnspecified() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
			a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		if never(addr) || never(addr.Unmap()) {
			require.Error(t, g.Check(addr), addr)
		}
		if !addr.Is4() {
			return
		}
		b := addr.As4()
		forms := map[string][16]byte{
			"mapped":     {10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]},
			"compatible": {12: b[0], 13: b[1], 14: b[2], 15: b[3]},
			"6to4":       {0: 0x20, 1: 0x02, 2: b[0], 3: b[1], 4: b[2], 5: b[3], 15: 1},
			"NAT64":      {0: 0, 1: 0x64, 2: 0xff, 3: 0x9b, 12: b[0], 13: b[1], 14: b[2], 15: b[3]},
			"Teredo":     {0: 0x20, 1: 0x01, 12: ^b[0], 13: ^b[1], 14: ^b[2], 15: ^b[3]},
			"ISATAP":     {0: 0x26, 10: 0x5e, 11: 0xfe, 12: b[0], 13: b[1], 14: b[2], 15: b[3]},
		}
		if g.Check(addr) == nil {
			return
		}
		for name, form := range forms {
			require.Error(t, g.Check(netip.AddrFrom16(form)), "%s of %s", name, addr)
		}
	})
}
