package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// meaning is what an SQLSTATE means to the pipeline.
type meaning struct {
	class pipeline.Class
	code  events.CauseCode
	hint  string
}

// meanings is the table of SQLSTATEs, by code first, then by the two characters of its class. What is in
// neither is transient. Source: PostgreSQL documentation, appendix A.
var meanings = map[string]meaning{
	// The request, or what stands in its boundary, is at fault.
	insufficientPrivilege: {
		pipeline.Permanent, events.CausePermissionDenied,
		"the database role lacks a right; grant it",
	},
	"42P01": conflict, "42703": conflict, "42704": conflict, "42804": conflict, "42809": conflict,
	"42830": conflict, "42P16": conflict, "42P17": conflict, "42710": conflict,

	// The database is away, going away, or not the one to write to.
	"08": {class: pipeline.Outage}, // connection exceptions
	"28": {
		pipeline.Outage, "",
		"the server refuses the login; check user and password in DATABASE_URL, or the password file, and the server's " +
			"pg_hba.conf",
	},
	"3D000": {pipeline.Outage, "", "there is no such database; create it, or correct DATABASE_URL and start again"},
	"25006": {pipeline.Outage, "", "the database is read-only (a standby?)"},
	"53100": {pipeline.Outage, "", "the server's disk is full; make room"},
	"53300": {pipeline.Outage, "", "no connection is left; see max_connections, the role's limit, CONCURRENCY"},
	"57P01": {class: pipeline.Outage}, // admin shutdown
	"57P02": {class: pipeline.Outage}, // crash shutdown
	"57P03": {class: pipeline.Outage}, // cannot connect now
	"57P04": {class: pipeline.Outage}, // the database was dropped
	"57P05": {class: pipeline.Outage}, // idle session timeout: the connection is gone, the next one is not
	"25P03": {class: pipeline.Outage}, // idle in transaction for too long: this process was frozen
	"58":    {class: pipeline.Outage}, // system error: I/O
	"XX":    {class: pipeline.Transient},

	// Known to pass by themselves. Listed for the reader: transient is the default.
	"40001": {class: pipeline.Transient}, // serialization failure
	"40P01": {class: pipeline.Transient}, // deadlock
	"55P03": {class: pipeline.Transient}, // lock timeout
	"57014": {class: pipeline.Transient}, // statement timeout
	"53200": {class: pipeline.Transient}, // out of memory, or of locks: max_locks_per_transaction
	"23505": {class: pipeline.Transient}, // lost a race: CREATE SCHEMA, or a registration by DocEX
	"42P06": {class: pipeline.Transient}, // duplicate schema: likewise
	"42P07": {class: pipeline.Transient}, // duplicate table: likewise
}

var conflict = meaning{
	pipeline.Permanent, events.CauseSchemaInvalid,
	"what is in the schema conflicts with the tenant's definition",
}

// classify makes a *pipeline.Fault of an error. Errors of the connection itself have no SQLSTATE: they
// are outages.
func classify(err error) error {
	var fault *pipeline.Fault
	var settled *pipeline.Settled
	if err == nil || errors.As(err, &fault) || errors.As(err, &settled) {
		return err
	}
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server):
	case errors.Is(err, pgx.ErrNoRows): // somebody removed the request from the ledger
		return &pipeline.Fault{Class: pipeline.Transient, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &pipeline.Fault{Class: pipeline.Outage, Message: "PostgreSQL does not answer", Err: err}
	default:
		return &pipeline.Fault{Class: pipeline.Outage, Message: tlsHint(err), Err: err}
	}
	m, ok := meanings[server.Code]
	if !ok {
		m = meanings[server.Code[:min(2, len(server.Code))]]
	}
	// Whatever the server says while it refuses a connection, it says to everybody. Not so where it refuses
	// what DATABASE_URL asks of the session: that does not become right by waiting.
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) && !misconfigured[server.Code] {
		m = meaning{class: pipeline.Outage, hint: m.hint}
		if server.Code == insufficientPrivilege {
			m.hint = lacks + "CONNECT on the database"
		}
	}
	return &pipeline.Fault{Class: m.class, Code: m.code, Message: m.hint, Native: server.Code, Err: err}
}

// tlsHint says what to do where TLS is what has failed.
func tlsHint(err error) string {
	var (
		unverified *tls.CertificateVerificationError
		misnamed   x509.HostnameError
		refused    *net.OpError
		connecting *pgconn.ConnectError
	)
	switch {
	case errors.As(err, &misnamed):
		return "the server's certificate is of another name; correct the host in DATABASE_URL, or have it certified"
	case errors.As(err, &unverified):
		return "the server's certificate is not of an authority that is trusted; check sslrootcert in DATABASE_URL"
	case errors.As(err, &refused) && refused.Op == "remote error": // an alert of TLS
		return "the server refuses this client's certificate, or wants one; check sslcert and sslkey in DATABASE_URL"
	case errors.As(err, &connecting) && showsCertificate(connecting.Config) && hungUp(err):
		// In TLS 1.3 a certificate is refused after the handshake, by an alert that the end of the connection overtakes.
		return "the server has ended the connection; if it goes on so, check sslcert and sslkey in DATABASE_URL"
	}
	return ""
}

func showsCertificate(c *pgconn.Config) bool {
	return c != nil && c.TLSConfig != nil && len(c.TLSConfig.Certificates) > 0
}

func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF)
}

// misconfigured are the SQLSTATEs of a connection that asks for what there is not: a parameter that is unknown,
// or a value that it cannot have.
var misconfigured = map[string]bool{"42704": true, "22023": true}

// passing are the SQLSTATEs and classes after which the same statement may succeed on the next attempt.
var passing = map[string]bool{"40": true, "53": true, "55P03": true, "57014": true}
