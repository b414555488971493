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

// relay is a proxy between the program and a server, to make the server unavailable.
type relay struct {
	addr, target string

	stallLock sync.RWMutex // held for reading by each write

	mu        sync.Mutex
	held      *hold // nil: nothing is held
	listener  net.Listener
	connected bool // not cut
	conns     map[net.Conn]bool
	all       sync.WaitGroup
}

// newRelay returns a relay to the host of a URL, and the URL through it.
func newRelay(t *testing.T, to string) (_ *relay, relayURL string) {
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
	r.listener, r.connected = listener, true
	r.all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", r.target) // ends with the test
			if err != nil {
				client.Close()
				continue
			}
			r.connect(client, server)
		}
	})
}

// connect copies in both directions between client and server until either side closes.
func (r *relay) connect(a, b net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.connected { // it was cut while the server was dialled
		a.Close()
		b.Close()
		return
	}
	r.conns[a], r.conns[b] = true, true
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		var to io.Writer = stallableWriter{pair[0], &r.stallLock}
		if r.held != nil && pair[1] == a {
			to = &holdingWriter{Writer: to, hold: r.held}
		}
		r.all.Go(func() {
			io.Copy(to, pair[1]) // until either side closes
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, c := range pair {
				delete(r.conns, c)
				c.Close()
			}
		})
	}
}

// cut closes all connections and refuses new ones.
func (r *relay) cut() {
	r.mu.Lock()
	r.connected = false
	syscall.ForkLock.RLock() // no child process inherits the listener, so that the address can be reused
	r.listener.Close()       // it may be cut already
	syscall.ForkLock.RUnlock()
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}

// stall keeps all connections, and blocks their data until proceed is called.
func (r *relay) stall() (proceed func()) {
	r.stallLock.Lock()
	return sync.OnceFunc(r.stallLock.Unlock)
}

type stallableWriter struct {
	io.Writer
	lock *sync.RWMutex
}

func (g stallableWriter) Write(p []byte) (int, error) {
	g.lock.RLock()
	defer g.lock.RUnlock()
	return g.Writer.Write(p)
}

// hold delays what a client sends, from the first occurrence of a text on, until it is released. What the server sends
// passes.
type hold struct {
	text     []byte
	reached  chan struct{} // closed once a client has sent the text
	released chan struct{}
	first    sync.Once
	release  func()
}

// hold delays what future clients send.
func (r *relay) hold(t *testing.T, text string) *hold {
	t.Helper()
	h := &hold{text: []byte(text), reached: make(chan struct{}), released: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.released) })
	t.Cleanup(h.release) // before the relay is cut, which waits for all writes
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = h
	return h
}

// holdingWriter is one client's connection to the server.
type holdingWriter struct {
	io.Writer
	*hold
	kept []byte // the end of what was sent, which may be the beginning of the text
	done bool
}

func (h *holdingWriter) Write(p []byte) (int, error) {
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
