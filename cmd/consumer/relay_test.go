package main

import (
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
)

// relay stands between the program and a server, to take the server away.
type relay struct {
	addr, target string

	passing sync.RWMutex // held for reading by what passes

	mu       sync.Mutex
	listener net.Listener
	whole    bool // not cut
	conns    map[net.Conn]bool
	all      sync.WaitGroup
}

// newRelay returns a relay to the host of a URL, and the URL through it.
func newRelay(t *testing.T, to string) (_ *relay, through string) {
	t.Helper()
	u, err := url.Parse(to)
	must(t, err)
	r := &relay{target: u.Host, addr: freeAddr(t), conns: map[net.Conn]bool{}}
	r.mend(t)
	t.Cleanup(r.cut)
	u.Host = r.addr
	return r, u.String()
}

// mend makes the server reachable.
func (r *relay) mend(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", r.addr)
	must(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener, r.whole = listener, true
	r.all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", r.target) // ends with the test
			if err != nil {
				client.Close() // there is nothing to be said
				continue
			}
			r.join(client, server)
		}
	})
}

// join copies in both directions until either side ends.
func (r *relay) join(a, b net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.whole { // it was cut while the server was dialled
		a.Close() // likewise
		b.Close()
		return
	}
	r.conns[a], r.conns[b] = true, true
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		r.all.Go(func() {
			io.Copy(gated{pair[0], &r.passing}, pair[1]) // an end is what it waits for
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, c := range pair {
				delete(r.conns, c)
				c.Close() // likewise
			}
		})
	}
}

// cut ends all connections and refuses new ones.
func (r *relay) cut() {
	r.mu.Lock()
	r.whole = false
	syscall.ForkLock.RLock() // no process that is being started has a copy of it: it is to listen again
	r.listener.Close()       // it may be cut already
	syscall.ForkLock.RUnlock()
	for c := range r.conns {
		c.Close() // likewise
	}
	r.mu.Unlock()
	r.all.Wait()
}

// stall keeps all connections and lets nothing pass until proceed is called.
func (r *relay) stall() (proceed func()) {
	r.passing.Lock()
	return sync.OnceFunc(r.passing.Unlock)
}

type gated struct {
	io.Writer
	gate *sync.RWMutex
}

func (g gated) Write(p []byte) (int, error) {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Writer.Write(p)
}
