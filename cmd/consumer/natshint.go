package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
)

const natsNotThere = "check NATS_URL, and that the server runs"

// natsHint adds to an error of connecting to NATS what to do about it. The server's words are about itself.
func natsHint(err error) error {
	hint := ""
	var (
		unverified *tls.CertificateVerificationError
		misnamed   x509.HostnameError
		network    *net.OpError
	)
	switch {
	case errors.As(err, &misnamed):
		hint = "the server's certificate is of another name: correct the host in NATS_URL"
	case errors.As(err, &unverified):
		hint = "the server's certificate is not of an authority that is trusted: check NATS_TLS_CA"
	case errors.As(err, &network) && network.Op == "dial": // no such host, nobody listens, no way
		hint = natsNotThere
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS
		hint = "the server refuses this client's certificate, or wants one: check NATS_TLS_CERT and NATS_TLS_KEY"
	case errors.Is(err, nats.ErrTLS): // it has hung up without a word, or the word was lost
		hint = "the server has ended the connection: check NATS_TLS_CERT and NATS_TLS_KEY"
	case errors.Is(err, nats.ErrSecureConnWanted):
		hint = "the server has no TLS: write nats:// in NATS_URL, and leave out NATS_TLS_…"
	case errors.Is(err, nats.ErrAuthorization):
		hint = "check user and password in NATS_URL, or NATS_CREDS"
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		hint = "have new credentials made: NATS_CREDS"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}
