// Package tlshint explains why TLS connections fail.
package tlshint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// Settings are the names of what configures a connection.
type Settings struct {
	Host      string // where the server's name is
	Authority string // the file of trusted authorities
	Client    string // the files of the client's certificate and key
}

// expired is what a server reports of a client certificate. (crypto/tls, alert 45)
const expired = "tls: expired certificate"

// Of returns what to do about the failure of a TLS connection, or "" if err is not one. The text of crypto/x509 for a
// certificate outside of its period has the times.
func Of(err error, s Settings) string {
	var (
		misnamed   x509.HostnameError
		invalid    x509.CertificateInvalidError
		unverified *tls.CertificateVerificationError
		refused    *net.OpError
	)
	switch {
	case errors.As(err, &misnamed):
		return "the server's certificate is for another name; correct the host in " + s.Host + ", or certify that name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate of the server, or of its authority, has expired or is not yet valid; replace it, and check " +
			"this machine's clock"
	case errors.As(err, &unverified):
		return "the server's certificate is not signed by a trusted authority; check " + s.Authority
	case errors.As(err, &refused) && refused.Op == "remote error" && refused.Err.Error() == expired:
		return "the client certificate has expired or is not yet valid; replace " + s.Client +
			", and check the server's clock"
	case errors.As(err, &refused) && refused.Op == "remote error": // a TLS alert
		return "the server rejects the client certificate, or requires one; check " + s.Client
	}
	return ""
}
