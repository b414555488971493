// Package porttest finds ports for the servers of tests. A port is given out once, in this process and among all
// running processes of this machine, because the tests of several packages run at the same time.
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

// The range of ports. The ports above it are ephemeral (ip_local_port_range begins with 32768 on Linux): the system
// also assigns them to outgoing connections. A server that listens later, or again, could find such a port taken by a
// connection of another process.
const (
	first = 15000
	last  = 32767
)

var given sync.Map // the ports that this process has given out

// Free returns a port of the loopback address on which no process listens.
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

// try listens on an address and stops before it returns. A process that is forked in the meantime has a copy of the
// listener until it executes its program, and on a busy machine keeps the port taken for that long; the lock prevents
// that.
func try(ctx context.Context, addr netip.AddrPort) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// locks is a file in which a process locks, for each port that it has given out, the byte at the offset of its number.
// The file stays open: the locks end with the process, however it ends.
var locks = sync.OnceValues(func() (*os.File, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("porttest-%d.lock", os.Getuid()))
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
})

// reserve keeps a port for this process until it ends. Other processes cannot detect a server that has yet to listen,
// or that is to listen again.
func reserve(port uint16) (bool, error) {
	if _, taken := given.LoadOrStore(port, true); taken {
		return false, nil
	}
	file, err := locks()
	if err != nil {
		return false, err
	}
	lock := &syscall.Flock_t{Type: syscall.F_WRLCK, Start: int64(port), Len: 1}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, lock)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) { // another process holds it
		return false, nil
	}
	return err == nil, err
}
