package natsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// lookUpTimeout is how long a name may take. The system's resolver waits 5 s for each name server that does not answer,
// once for each domain of its search list: with the usual four, a working second server answers after 20 s.
const lookUpTimeout = 30 * time.Second

// connector connects to one server.
type connector struct {
	// speaksFirst: the server sends its first message before the client, as all do except over WebSocket, or where TLS
	// comes first. Then the connector waits for it, because the client would wait under its lock.
	speaksFirst bool
	// lookUp returns the addresses of a name; nil: the system's resolver.
	lookUp func(ctx context.Context, host string) ([]string, error)
}

// connect looks the name up and connects to the first of its addresses that answers. phase receives what it waits for.
func (c connector) connect(ctx context.Context, address string, phase func(string)) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	found := []string{host}
	if net.ParseIP(host) == nil {
		phase(fmt.Sprintf("the name %s is being looked up; no name server has answered yet", host))
		if found, err = c.addresses(ctx, host); err != nil {
			return nil, err
		}
	}
	phase(fmt.Sprintf("connecting to %s; it has not answered yet", address))
	//nolint:gosec // it only spreads clients
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return race(ctx, len(found), func(ctx context.Context, i int) (net.Conn, error) {
		return c.open(ctx, net.JoinHostPort(found[i], port))
	})
}

// addresses looks a name up.
func (c connector) addresses(ctx context.Context, host string) ([]string, error) {
	lookUp := c.lookUp
	if lookUp == nil {
		lookUp = net.DefaultResolver.LookupHost
	}
	limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	found, err := lookUp(limited, host)
	if err == nil {
		return found, nil
	}
	if limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no name server has answered for %s within %s: %w", host, lookUpTimeout, err)
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err} // as [net.Dialer] returns it
}

// open connects to one address.
func (c connector) open(ctx context.Context, address string) (net.Conn, error) {
	dial := net.Dialer{Timeout: connectTimeout}
	conn, err := dial.DialContext(ctx, "tcp", address)
	if err != nil || !c.speaksFirst {
		return conn, err
	}
	greeted, err := awaitGreeting(ctx, conn)
	if err != nil {
		closeConn(conn)
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s closes connections before it sends anything, as a proxy without a server does; %s: %w",
				address, setTLSFirst, err)
		}
		return nil, fmt.Errorf("%s accepts connections and sends nothing, as a frozen server does; %s: %w", address,
			setTLSFirst, err)
	}
	return greeted, nil
}

// awaitGreeting waits for the server's first byte.
func awaitGreeting(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(connectTimeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) }) //nolint:errcheck // it is closed then
	first := make([]byte, 1)
	_, err := io.ReadFull(conn, first)
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	return &greeted{Conn: conn, first: first}, err
}

// greeted is a connection whose first byte has been read.
type greeted struct {
	net.Conn
	first []byte
}

func (g *greeted) Read(p []byte) (int, error) {
	if len(g.first) == 0 || len(p) == 0 {
		return g.Conn.Read(p)
	}
	n := copy(p, g.first)
	g.first = g.first[n:]
	return n, nil
}

// race calls open for each of n addresses, each a moment later than the one before, and returns the first connection.
func race(ctx context.Context, n int, open func(ctx context.Context, i int) (net.Conn, error)) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, n)
	for i := range n {
		go func() {
			var r result
			if r.err = sleep(ctx, time.Duration(i)*stagger); r.err == nil {
				r.conn, r.err = open(ctx, i)
			}
			results <- r
		}()
	}
	var first net.Conn
	var failed []error
	for range n {
		switch r := <-results; {
		case r.err != nil:
			failed = append(failed, r.err)
		case first == nil:
			first = r.conn
			cancel() // the others end at once
		default:
			closeConn(r.conn)
		}
	}
	switch {
	case first != nil:
		return first, nil
	case len(failed) == 0:
		return nil, errors.New("the name has no address")
	}
	return nil, failed[0]
}
