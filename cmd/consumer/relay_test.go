package main

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// relay stands between the program and a server, to take the server away.
type relay struct {
	addr, target string

	passing sync.RWMutex // held for reading by what passes

	mu       sync.Mutex
	held     *hold // nil: nothing is
	listener net.Listener
	whole    bool // not cut
	conns    map[net.Conn]bool
	all      sync.WaitGroup
}

// newRelay returns a relay to the host of a URL, and the URL through it.
func newRelay(t *testing.T, to string) (_ *relay, through string) {
	t.Helper()
	u, err := url.Parse(to)
	testkit.Must(t, err)
	r := &relay{target: u.Host, addr: testkit.FreeAddr(t), conns: map[net.Conn]bool{}}
	r.restore(t)
	t.Cleanup(r.cut)
	u.Host = r.addr
	return r, u.String()
}

// restore makes the server reachable.
func (r *relay) restore(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", r.addr)
	testkit.Must(t, err)
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

// join copies in both directions between client and server until either side ends.
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
		var to io.Writer = gated{pair[0], &r.passing}
		if r.held != nil && pair[1] == a {
			to = &holding{Writer: to, hold: r.held}
		}
		r.all.Go(func() {
			io.Copy(to, pair[1]) // an end is what it waits for
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

// hold holds back what a client sends, from the first occurrence of a text on, until it is released. What the server
// sends passes.
type hold struct {
	text     []byte
	reached  chan struct{} // closed once a client has sent the text
	released chan struct{}
	first    sync.Once
	release  func()
}

// hold holds back what clients send that connect from now on.
func (r *relay) hold(t *testing.T, text string) *hold {
	t.Helper()
	h := &hold{text: []byte(text), reached: make(chan struct{}), released: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.released) })
	t.Cleanup(h.release) // before the relay is cut, which waits for what passes
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = h
	return h
}

// holding is one client's way to the server.
type holding struct {
	io.Writer
	*hold
	kept []byte // the end of what was sent, which may be the beginning of the text
	done bool
}

func (h *holding) Write(p []byte) (int, error) {
	if h.done {
		return h.Writer.Write(p)
	}
	h.kept = append(h.kept, p...)
	passes := bytes.Index(h.kept, h.text)
	if h.done = passes >= 0; !h.done {
		for passes = max(0, len(h.kept)-len(h.text)+1); !bytes.HasPrefix(h.text, h.kept[passes:]); {
			passes++
		}
	}
	if _, err := h.Writer.Write(h.kept[:passes]); err != nil {
		return 0, err
	}
	h.kept = bytes.Clone(h.kept[passes:])
	if !h.done {
		return len(p), nil
	}
	h.first.Do(func() { close(h.reached) })
	<-h.released
	if _, err := h.Writer.Write(h.kept); err != nil {
		return 0, err
	}
	return len(p), nil
}
