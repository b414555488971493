//go:build bench

package bench

import (
	"net"
	"net/url"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// delay is the time that a round trip to a server in another zone takes longer.
const delay = time.Millisecond

// delayed returns the URL of the same database behind a relay, through which each round trip takes so much longer.
func delayed(t testing.TB, database string, by time.Duration) string {
	t.Helper()
	u, err := url.Parse(database)
	testkit.Must(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			go relay(backend, client, by/2)
			go relay(client, backend, by/2)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

// relay copies what from sends, each part so much later, until one side ends.
func relay(to, from net.Conn, later time.Duration) {
	type part struct {
		due  time.Time
		data []byte
	}
	parts := make(chan part, 1024)
	go func() {
		defer close(parts)
		for {
			data := make([]byte, 64<<10)
			n, err := from.Read(data)
			if n > 0 {
				parts <- part{time.Now().Add(later), data[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	defer to.Close()
	for p := range parts {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close() // so that the reading ends
		}
	}
}
