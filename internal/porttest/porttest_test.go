package porttest

import (
	"net"
	"net/netip"
	"testing"
)

// A port is given once, can be listened on, and is none that the system gives to connections.
func TestFree(t *testing.T) {
	t.Parallel()
	seen := map[netip.AddrPort]bool{}
	for range 200 {
		addr, err := Free(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] || addr.Port() < first || addr.Port() > last || !addr.Addr().IsLoopback() {
			t.Errorf("given: %s", addr)
		}
		seen[addr] = true
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
