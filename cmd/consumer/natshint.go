package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// natsHint adds to an error of connecting to NATS what to do about it. The server's words are about itself.
func natsHint(err error) error {
	hint := ""
	var (
		unverified *tls.CertificateVerificationError
		misnamed   x509.HostnameError
		refused    tls.AlertError
	)
	switch {
	case errors.As(err, &misnamed):
		hint = "the server's certificate is of another name: correct the host in NATS_URL"
	case errors.As(err, &unverified):
		hint = "the server's certificate is not of an authority that is trusted: check NATS_TLS_CA"
	case errors.As(err, &refused):
		hint = "the server refuses this client's certificate, or wants one: check NATS_TLS_CERT and NATS_TLS_KEY"
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
