package natsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/tlshint"
)

// NotReachable is what to do where no server answers.
const NotReachable = "check NATS_URL, and that the server runs"

// Which of the two a server is cannot be seen: one that expects TLS first waits for the client, and ends the connection
// after its tls.timeout.
const (
	setTLSFirst   = "if the server has handshake_first: true, set NATS_TLS_FIRST=true"
	unsetTLSFirst = "the server begins without TLS, as one without handshake_first does: unset NATS_TLS_FIRST"
)

var settings = tlshint.Settings{Host: "NATS_URL", Authority: "NATS_TLS_CA", Client: "NATS_TLS_CERT and NATS_TLS_KEY"}

// explain adds to a connection error what to do about it. The server's own text does not name our variables.
func explain(err error) error {
	hint := tlshint.Of(err, settings)
	var (
		network *net.OpError
		plain   tls.RecordHeaderError
	)
	switch {
	case hint != "":
	case errors.As(err, &plain):
		hint = unsetTLSFirst
	case errors.As(err, &network) && network.Op == "dial": // no such host, connection refused, no route
		hint = NotReachable
	case errors.Is(err, nats.ErrTLS): // it closed the connection without an alert, or the alert was lost
		hint = "the server closed the connection: check NATS_TLS_CERT and NATS_TLS_KEY"
	case errors.Is(err, nats.ErrSecureConnWanted):
		hint = "the server has no TLS: write nats:// in NATS_URL, and unset NATS_TLS_…"
	case errors.Is(err, nats.ErrAuthorization):
		hint = "check user and password in NATS_URL, or NATS_CREDS or NATS_NKEY, and that the server knows the user"
	case errors.Is(err, nats.ErrNkeysNotSupported):
		hint = "no user of the server has an nkey: check NATS_URL and NATS_NKEY"
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		hint = "the credentials have expired or were revoked: replace the file NATS_CREDS"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}
