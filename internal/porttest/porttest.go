// Package porttest finds ports for the servers of tests.
package porttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// The ports that are given. Those above, which a system picks itself where port 0 is asked for, it gives to outgoing
// connections too (ip_local_port_range begins with 32768 on Linux): a server that is to listen later, or again, would
// find its port taken by whoever has connected anywhere meanwhile.
const (
	first = 15000
	last  = 32767
)

var given sync.Map // a port is given once in a process; others' processes are told apart by chance

// Free returns a port of the loopback address on which nobody listens.
func Free(ctx context.Context) (netip.AddrPort, error) {
	var errs error
	for range 100 {
		port := uint16(first + rand.IntN(last-first+1)) //nolint:gosec // it fits
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
		if err == nil {
			return addr, l.Close()
		}
		errs = errors.Join(errs, err)
	}
	return netip.AddrPort{}, fmt.Errorf("porttest: no free port: %w", errs)
}
