package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

const openToTheNetwork = "HTTP_ADDR is open to the network"

// By default only this machine can connect; for an address that other machines reach, one line is logged.
func TestHTTPListensOnLoopbackByDefault(t *testing.T) {
	t.Parallel()
	_, stdout, _ := command(t, nil, "config")
	testkit.Contains(t, "the default", stdout, "\nHTTP_ADDR=127.0.0.1:8080\n")
	for addr, open := range map[string]int{
		"127.0.0.1:0": 0, "localhost:0": 0, "[::1]:0": 0, "127.0.0.2:0": 0, "0.0.0.0:0": 1, ":0": 1, "[::]:0": 1,
	} {
		r := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", addr)))
		bound := testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
		testkit.Equal(t, "warnings of "+addr, strings.Count(r.stderr.String(), openToTheNetwork), open)
		host, port, err := net.SplitHostPort(bound)
		testkit.Must(t, err)
		if open == 0 && !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s is bound to %s", addr, bound)
		}
		code, _ := get(t, "http://"+map[bool]string{true: "127.0.0.1:" + port, false: bound}[open == 1]+"/livez")
		testkit.Equal(t, "/livez at "+addr, code, 200)
		testkit.Equal(t, "exit code", r.stop(t), 0)
	}
}

// A client that sends too much, slowly, or not at all, is disconnected, and affects no other client.
func TestHTTPLimits(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0")))
	addr := testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
	for name, c := range map[string]struct {
		request string
		want    int // status; 0: none is required
	}{
		"a large header":       {"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		"an incomplete header": {"GET /livez HTTP/1.1\r\nHost: a\r\n", 0},
		"an incomplete body":   {"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nxxx", 0},
		"another host":         {"GET /readyz HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n", 421},
		"a URL of another":     {"GET http://rebound.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421},
		"no host":              {"GET /livez HTTP/1.0\r\n\r\n", 200},
		"a method that writes": {"POST /readyz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", addr)
			testkit.Must(t, err)
			defer func() { testkit.Must(t, conn.Close()) }()
			testkit.Must(t, conn.SetDeadline(time.Now().Add(testkit.Patience)))
			_, err = fmt.Fprint(conn, c.request)
			testkit.Must(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if c.want != 0 {
				testkit.Must(t, err)
				testkit.Equal(t, "status", response.StatusCode, c.want)
			}
			if err == nil {
				defer func() { testkit.Must(t, response.Body.Close()) }()
			}
			// The connection ends on the server's side, within its timeouts.
			if c.want != http.StatusMethodNotAllowed {
				_, err = io.Copy(io.Discard, conn)
				testkit.Must(t, ignoreReset(err))
			}
			code, _ := get(t, "http://"+addr+"/livez")
			testkit.Equal(t, "/livez in the meantime", code, 200)
		})
	}
}

// ignoreReset ignores a connection that the other side has reset.
func ignoreReset(err error) error {
	if err != nil && strings.Contains(err.Error(), "reset") {
		return nil
	}
	return err
}
