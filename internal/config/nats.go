package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	// subjectPrefix matches the prefixes of subjects that the NATS client accepts.
	subjectPrefix = regexp.MustCompile(`^[^.*>\s]+(\.[^.*>\s]+)*$`)
	// subjectToken matches the names of JetStream domains: one token of a subject.
	subjectToken = regexp.MustCompile(`^[^.*>\s]+$`)
)

// natsSchemes are the schemes that the client supports. With another it waits for the server for ever.
var natsSchemes = map[string]bool{"nats": true, "tls": true, "ws": true, "wss": true}

// checkNATS returns the faults of the variables of the connection to NATS: their forms, and what they cannot be
// together.
func (c *Config) checkNATS() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(c.NATSInbox == "" || subjectPrefix.MatchString(c.NATSInbox), "%s: %q is not a subject "+
		"prefix such as _INBOX_consumer: no wildcard, no space, no dot at the end", c.named("NATS_INBOX_PREFIX"), c.NATSInbox)
	webSocket, user := false, false
	for i, server := range natsServers(c.NATSURL) {
		u, ok := parseNATSServer(server)
		require(c.NATSURL == "" || ok, "%s: entry %d is not nats://[user:password@]host[:port], or tls://, ws:// or "+
			"wss://; in a password write / as %%2F and , as %%2C", c.named("NATS_URL"), i+1)
		if ok {
			webSocket, user = webSocket || strings.HasPrefix(u.Scheme, "ws"), user || u.User != nil
		}
	}
	require(c.NATSDomain == "" || subjectToken.MatchString(c.NATSDomain), "%s: %q is not the name of a JetStream domain: "+
		"no dot, no wildcard, no space", c.named("NATS_JS_DOMAIN"), c.NATSDomain)
	require(c.NATSPrefix == "" || subjectPrefix.MatchString(strings.TrimSuffix(c.NATSPrefix, ".")), "%s: %q is not a "+
		"subject prefix such as JS.tenants.API: no wildcard, no space", c.named("NATS_JS_API_PREFIX"), c.NATSPrefix)
	require(c.NATSDomain == "" || c.NATSPrefix == "", "%s and %s: set one of them; a domain is the prefix $JS.DOMAIN.API",
		c.named("NATS_JS_DOMAIN"), c.named("NATS_JS_API_PREFIX"))
	require(c.NATSCreds == "" || c.NATSNkey == "", "%s and %s: set one of them, that of the user to log in as",
		c.named("NATS_CREDS"), c.named("NATS_NKEY"))
	require(c.NATSNkey == "" || !user, "%s and the user in %s: set one of them; the client would log in as the user in "+
		"the URL", c.named("NATS_NKEY"), c.named("NATS_URL"))
	require(!c.NATSTLSFirst || !webSocket, "%s: not with ws:// or wss:// in %s: a WebSocket does its own handshake",
		c.named("NATS_TLS_FIRST"), c.named("NATS_URL"))
	return errors.Join(append(faults, c.checkEmbedded())...)
}

// checkEmbedded refuses what the embedded server does not have. Without that, a service whose NATS_URL is forgotten
// would start on an empty embedded server.
func (c *Config) checkEmbedded() error {
	if c.NATSURL != "" {
		return nil
	}
	var faults []error
	for _, v := range []struct {
		name  string
		set   bool
		lacks string
	}{
		{"NATS_CREDS", c.NATSCreds != "", "users"},
		{"NATS_NKEY", c.NATSNkey != "", "users"},
		{"NATS_TLS_CA", c.NATSTLSCA != "", "TLS"},
		{"NATS_TLS_CERT", c.NATSTLSCert != "", "TLS"},
		{"NATS_TLS_KEY", c.NATSTLSKey != "", "TLS"},
		{"NATS_TLS_FIRST", c.NATSTLSFirst, "TLS"},
		{"NATS_JS_DOMAIN", c.NATSDomain != "", "domain"},
		{"NATS_JS_API_PREFIX", c.NATSPrefix != "", "other account"},
	} {
		if v.set {
			faults = append(faults, fmt.Errorf("%s: the embedded server has no %s; set NATS_URL or NATS_CONTEXT, or unset it",
				v.name, v.lacks))
		}
	}
	return errors.Join(faults...)
}

// NATSLogin names what the connection to NATS logs in by: "credentials", "nkey", "password", "token", "client
// certificate" or "no user".
func (c *Config) NATSLogin() string {
	switch {
	case c.NATSCreds != "":
		return "credentials"
	case c.NATSNkey != "":
		return "nkey"
	}
	for _, server := range natsServers(c.NATSURL) {
		u, ok := parseNATSServer(server)
		if !ok || u.User == nil {
			continue
		}
		if _, hasPassword := u.User.Password(); hasPassword {
			return "password"
		}
		return "token"
	}
	if c.NATSTLSCert != "" {
		return "client certificate"
	}
	return "no user"
}

// natsServers returns the entries of a NATS_URL.
func natsServers(list string) (servers []string) {
	for server := range strings.SplitSeq(list, ",") {
		servers = append(servers, strings.TrimSpace(server))
	}
	return servers
}

// parseNATSServer parses one URL before the client does: the client's errors repeat the URL with its password.
func parseNATSServer(server string) (u *url.URL, ok bool) {
	u, err := url.Parse(withScheme(server))
	return u, err == nil && natsSchemes[u.Scheme] && u.Hostname() != "" && isPort(u.Port()) &&
		strings.Trim(u.Path, "/") == ""
}

// withScheme returns the URL of a server with the scheme that the client uses for one without.
func withScheme(server string) string {
	if strings.Contains(server, "://") {
		return server
	}
	return "nats://" + server
}
