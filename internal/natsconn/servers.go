package natsconn

import (
	"net"
	"net/url"
	"strings"
)

// serversOf returns the servers of a NATS_URL, each host:port as the client names it, and whether they speak over
// WebSocket. (nats.go 1.55.0, parseServerURL)
func serversOf(list string) (servers []string, webSocket bool) {
	for server := range strings.SplitSeq(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil {
			continue // the client reports it
		}
		port := "4222"
		switch u.Scheme {
		case "ws":
			port, webSocket = "80", true
		case "wss":
			port, webSocket = "443", true
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		servers = append(servers, u.Host)
	}
	return servers, webSocket
}
