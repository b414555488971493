package service

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestHostOnLoopback(t *testing.T) {
	t.Parallel()
	const addr = "console.example:8080" // a name that this machine resolves to a loopback address
	handler := onlyLoopback(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST:1": 200, "localhost.": 200, "localhost.:8080": 200, "app.localhost": 200,
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "127.1.2.3": 200, "[::1]": 200, "[::1]:8080": 200, "[::ffff:127.0.0.1]:8080": 200,
		"[0:0:0:0:0:0:0:1]:8080": 200, "console.example": 200, "Console.Example:9999": 200, "console.example.:8080": 200, "": 200,

		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "localhost.evil.example:8080": 421,
		"127.0.0.1.evil.example": 421, "127.0.0.1.nip.io:8080": 421, "evillocalhost": 421, "10.0.0.1": 421, "10.0.0.1:8080": 421,
		"0.0.0.0:8080": 421, "[::]:8080": 421, "[2001:db8::1]:8080": 421, "128.0.0.1": 421, "localhost:80:80": 421,
		"user@localhost": 421, "2130706433": 421, "0x7f000001": 421, "0": 421, "127.1": 421, "notconsole.example": 421,
	} {
		for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/static/page.js"} {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			request.Host = host
			handler.ServeHTTP(recorder, request)
			if recorder.Code != want {
				t.Errorf("%s with Host %q: %d, want %d", path, host, recorder.Code, want)
			}
			if want != 200 {
				testkit.Contains(t, "the response", recorder.Body.String(), "localhost", "docs/security.md")
			}
		}
	}
}

func TestListensOnLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.8.8.8": true, "::1": true, "0.0.0.0": false, "::": false, "10.0.0.1": false} {
		testkit.Equal(t, addr, listensOnLoopback(&net.TCPAddr{IP: net.ParseIP(addr)}), want)
	}
}
