package natsconn

import (
	"net"
	"net/url"
	"strings"
)

// natsServers are the servers of a NATS_URL.
type natsServers struct {
	addresses []string        // host:port, as the client names them
	users     []*url.Userinfo // of each address; nil: none
	urls      []string        // of each, without its user

	webSocket bool // they speak over WebSocket
	tls       bool // one has a scheme that requires TLS
}

// serversOf reads a NATS_URL as the client does. (nats.go 1.55.0, parseServerURL)
func serversOf(list string) (s natsServers) {
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
			port, s.webSocket = "80", true
		case "wss":
			port, s.webSocket = "443", true
		}
		s.tls = s.tls || u.Scheme == "tls" || u.Scheme == "wss"
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		s.addresses, s.users = append(s.addresses, u.Host), append(s.users, u.User)
		u.User = nil
		s.urls = append(s.urls, u.String())
	}
	return s
}
