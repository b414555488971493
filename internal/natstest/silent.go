package natstest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Silent listens as a frozen server does: it accepts connections and sends nothing. It returns the URL.
func Silent(t *testing.T) string {
	t.Helper()
	return listen(t, func(net.Conn) {})
}

// OfVersion is a server that reports this version and answers pings, and nothing else. It returns the URL.
func OfVersion(t *testing.T, version string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		fmt.Fprint(conn, info(version)) //nolint:errcheck // the client has gone
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "PING") {
				fmt.Fprint(conn, "PONG\r\n") //nolint:errcheck // the client has gone
			}
		}
	})
}

// listen calls serve for each connection, and closes all at the end of the test.
func listen(t *testing.T, serve func(net.Conn)) (url string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	var mu sync.Mutex
	var open []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		testkit.Must(t, l.Close())
		mu.Lock()
		for _, conn := range open {
			conn.Close() //nolint:errcheck // nothing was written that matters
		}
		mu.Unlock()
		all.Wait()
	})
	return "nats://" + l.Addr().String()
}

// OnePong is a server that lets a client log in, and then answers nothing. It returns the URL.
func OnePong(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		fmt.Fprint(conn, info("2.15.2")) //nolint:errcheck // the client has gone
		lines := bufio.NewScanner(conn)
		for pongs := 0; lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "PING") && pongs == 0 {
				pongs++
				fmt.Fprint(conn, "PONG\r\n") //nolint:errcheck // the client has gone
			}
		}
	})
}

// info is the first message of a server.
func info(version string) string {
	return fmt.Sprintf(`INFO {"server_id":"x","server_name":"old","version":%q,"proto":1,"headers":true,`+
		`"max_payload":1048576}`+"\r\n", version)
}
