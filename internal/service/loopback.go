package service

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// notLoopback answers a request whose Host is refused.
const notLoopback = "This address is for this machine only, and the request names another host. Use http://localhost " +
	"or http://127.0.0.1. A proxy on this machine must send the header Host: localhost (docs/security.md, HTTP)."

// onlyLoopback refuses requests whose Host names another machine. A web page on the internet can make a browser on this
// machine send such requests, by a name of its own that then resolves to the loopback address (DNS rebinding), and read
// the responses. addr is the configured address of the server; its host is allowed too.
func onlyLoopback(addr string, handler http.Handler) http.Handler {
	configured := hostOf(addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if !isLoopback(host) && !strings.EqualFold(host, configured) {
			http.Error(w, notLoopback, http.StatusMisdirectedRequest)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// hostOf returns a Host without port, brackets and the dot at the end of a full name.
func hostOf(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	return strings.TrimSuffix(text, ".")
}

// isLoopback reports whether a host is this machine by definition: a loopback address, localhost, or a name below it
// (RFC 6761). An empty host, which HTTP/1.0 allows and browsers never send, counts too.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// listensOnLoopback reports whether only this machine can connect.
func listensOnLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
