package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/faults"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/tlshint"
)

// classify converts an error on objects of one tenant to a *pipeline.Fault.
func classify(err error) error { return fault(err, false) }

// sharedFault is classify for what all requests share: the connection, the registry, the ledger, the pool.
func sharedFault(err error) error { return fault(err, true) }

// fault converts an error to a *pipeline.Fault by the table of faults. Errors of the connection have no SQLSTATE and
// are outages.
func fault(err error, shared bool) error {
	var known *pipeline.Fault
	var settled *pipeline.AlreadyDecidedError
	if err == nil || errors.As(err, &known) || errors.As(err, &settled) || errors.Is(err, pipeline.ErrBusy) {
		return err
	}
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server):
	case errors.Is(err, pgx.ErrNoRows): // the request was removed from the ledger
		return &pipeline.Fault{Class: pipeline.Transient, Shared: shared, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &pipeline.Fault{
			Class: pipeline.Outage, Message: "PostgreSQL does not answer", Shared: shared, Lost: true, Err: err,
		}
	case isOfConnection(err):
		hint := cmp.Or(tlsHint(err), nameHint(err))
		return &pipeline.Fault{Class: pipeline.Outage, Message: hint, Shared: shared, Lost: true, Err: err}
	default: // such as a response that the driver cannot read
		return &pipeline.Fault{Class: pipeline.Transient, Shared: shared, Err: err}
	}
	row, _ := faults.BySQLState(server.Code)
	m := row.Own
	if shared {
		m = row.Shared
	}
	if isConnecting(err) { // it affects all requests
		m = faults.Meaning{Class: pipeline.Outage, Hint: m.Hint}
		switch {
		case refusesParameter(err):
			m.Hint = parameterHint
		case server.Code == insufficientPrivilege:
			m.Hint = missingPrivilege + "CONNECT on the database"
		}
	}
	return &pipeline.Fault{
		Class: m.Class, Code: m.Code, Message: m.Hint, DriverCode: server.Code,
		Shared: shared, Lost: isConnecting(err) || endsSession(server.Code), TimedOut: waitEnded(err), Err: err,
	}
}

// sqlState returns the SQLSTATE of an error of the server, or "".
func sqlState(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// endsSession reports whether this SQLSTATE ends the session, whatever statement received it.
func endsSession(code string) bool {
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") || strings.HasPrefix(code, "25P")
}

// connectFault returns the fault of a connection that could not be acquired.
func connectFault(err error) error { return fmt.Errorf("connect: %w", sharedFault(err)) }

// isConnecting reports whether the error means that no connection could be established.
func isConnecting(err error) bool {
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting)
}

// readOnlyState is the SQLSTATE of a write to a read-only database.
const readOnlyState = "25006"

func readOnlyHint() string {
	row, _ := faults.BySQLState(readOnlyState)
	return row.Shared.Hint
}

// isOfConnection reports whether an error that the server did not send means that a connection was lost or could not be
// established.
func isOfConnection(err error) bool {
	var network net.Error
	return isConnecting(err) || errors.As(err, &network) || hungUp(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled)
}

// tlsHint returns what to do about a failure of TLS, or "".
func tlsHint(err error) string {
	hint := tlshint.Of(err, tlshint.Settings{
		Host: "DATABASE_URL", Authority: "sslrootcert in DATABASE_URL", Client: "sslcert and sslkey in DATABASE_URL",
	})
	var connecting *pgconn.ConnectError
	if hint == "" && errors.As(err, &connecting) && showsCertificate(connecting.Config) && hungUp(err) {
		// In TLS 1.3 the server rejects a certificate after the handshake. Its alert can be lost to the end of the
		// connection.
		return "the server closed the connection; if this repeats, check sslcert and sslkey in DATABASE_URL"
	}
	return hint
}

func showsCertificate(c *pgconn.Config) bool {
	return c != nil && c.TLSConfig != nil && len(c.TLSConfig.Certificates) > 0
}

func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF)
}

// parameterHint begins the message about a server that refuses a parameter.
const parameterHint = "the server refuses a parameter of DATABASE_URL; correct or remove it"

// misconfigured are the SQLSTATEs of a connection with an unknown parameter, an invalid value, or invalid options.
var misconfigured = map[string]bool{"42704": true, "22023": true, "42601": true}

// refusesParameter reports whether the server refuses a connection because of a parameter. A setting that the role may
// not change has the SQLSTATE of any missing privilege; only the file in the server's source distinguishes it.
// (PostgreSQL 13 to 18, guc.c)
func refusesParameter(err error) bool {
	var server *pgconn.PgError
	return isConnecting(err) && errors.As(err, &server) &&
		(misconfigured[server.Code] || server.Code == insufficientPrivilege && server.File == "guc.c")
}

// nameHint returns what to do about a host whose name is not found, or "".
func nameHint(err error) string {
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return "a host of DATABASE_URL is not found; check its name, and the name servers"
	}
	return ""
}

// passing are the classes of SQLSTATEs after which the same statement may succeed in the next attempt.
var passing = map[string]bool{"40": true, "53": true, "55": true, "57": true, "58": true}
