package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/terminal"
)

// expiryNotice is how long before a password, a certificate or credentials expire doctor warns.
const expiryNotice = 14 * 24 * time.Hour

const databaseTLSHint = "write sslmode=verify-full and sslrootcert=FILE in DATABASE_URL (docs/security.md)"

func checkDatabaseTLS(t postgres.Transport, now time.Time) Finding {
	const name = "database_tls"
	switch {
	case t.TLS == nil || t.Local:
	case !t.ChecksAuthority:
		return warning(name, databaseTLSHint, "%s, but the server's certificate is not checked: whoever can redirect the "+
			"connection can read and change everything", tls.VersionName(t.TLS.Version))
	case !t.ChecksName:
		return warning(name, databaseTLSHint, "%s, but the name in the server's certificate is not checked: whoever has a "+
			"certificate of the same authority can pose as the server", tls.VersionName(t.TLS.Version))
	}
	return checkTLS(name, databaseTLSHint, t.TLS, t.Local, now)
}

const natsTLSHint = "configure TLS on the server, and write tls:// in NATS_URL; set NATS_TLS_CA if the authority is " +
	"not one of the system's"

// checkNATSTLS judges the connection. The client always checks the server's certificate.
func (n *prober) checkNATSTLS() Finding {
	var secured *tls.ConnectionState
	if state, err := n.nc.TLSConnectionState(); err == nil {
		secured = &state
	}
	host, _, _ := net.SplitHostPort(n.nc.ConnectedAddr())
	return checkTLS("nats_tls", natsTLSHint, secured, net.ParseIP(host).IsLoopback(), n.now())
}

// checkTLS judges a connection whose TLS is as it should be, or which has none.
func checkTLS(name, hint string, secured *tls.ConnectionState, local bool, now time.Time) Finding {
	switch {
	case secured == nil && local:
		return ok(name, "none: the server is on this machine")
	case secured == nil:
		return warning(name, hint, "none: whoever is on the way can read and change everything, also what is secret")
	case len(secured.PeerCertificates) == 0:
		return ok(name, "%s", tls.VersionName(secured.Version))
	}
	leaf := secured.PeerCertificates[0]
	text := fmt.Sprintf("%s; the certificate of %s expires on %s, in %s", tls.VersionName(secured.Version),
		terminal.Plain(subject(leaf)), date(leaf.NotAfter), remaining(leaf.NotAfter.Sub(now)))
	if leaf.NotAfter.Sub(now) < expiryNotice {
		return warning(name, "renew the server's certificate", "%s: new connections then fail", text)
	}
	return ok(name, "%s", text)
}

// subject names a certificate.
func subject(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return c.Subject.String()
}

func date(t time.Time) string { return t.UTC().Format(time.DateTime + "Z") }
