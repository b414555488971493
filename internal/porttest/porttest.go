// Package porttest finds ports for the servers of tests. A port is given once: in a process, and among all processes of
// this machine that are at work, which the tests of several packages are.
package porttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// The ports that are given. Those above, which a system picks itself where port 0 is asked for, it gives to outgoing
// connections too (ip_local_port_range begins with 32768 on Linux): a server that is to listen later, or again, would
// find its port taken by whoever has connected anywhere meanwhile.
const (
	first = 15000
	last  = 32767
)

var given sync.Map // the ports that this process was given

// Free returns a port of the loopback address on which nobody listens.
func Free(ctx context.Context) (netip.AddrPort, error) {
	var errs error
	for range 100 {
		port := uint16(first + rand.IntN(last-first+1)) //nolint:gosec // it fits
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		reserved, err := reserve(port)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		if !reserved {
			continue
		}
		if err = try(ctx, addr); err == nil {
			return addr, nil
		}
		errs = errors.Join(errs, err)
	}
	return netip.AddrPort{}, fmt.Errorf("porttest: no free port: %w", errs)
}

// try listens on an address, and does so no more when it returns. A process that is started in the meantime has a copy
// of the listener until it runs its program, and on a busy machine keeps the port taken for that long.
func try(ctx context.Context, addr netip.AddrPort) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// locks is a file of which a process locks the byte at the number of each port that it was given. It stays open: the
// locks end with the process, however that ends.
var locks = sync.OnceValues(func() (*os.File, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("porttest-%d.lock", os.Getuid()))
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
})

// reserve keeps a port for this process until it ends. A server that is yet to listen, or is to listen again, has
// nothing on its port by which others could tell.
func reserve(port uint16) (bool, error) {
	if _, taken := given.LoadOrStore(port, true); taken {
		return false, nil
	}
	file, err := locks()
	if err != nil {
		return false, err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: int64(port), Len: 1}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) { // another process has it
		return false, nil
	}
	return err == nil, err
}
