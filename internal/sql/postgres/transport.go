package postgres

import (
	"crypto/tls"
	"net"

	"github.com/jackc/pgx/v5"
)

// Transport is how a session is protected on its way to the server.
type Transport struct {
	TLS *tls.ConnectionState // nil: nothing is encrypted
	// ChecksName and ChecksAuthority are whether the client checks the host's name in the server's certificate, and who
	// has signed that.
	ChecksName, ChecksAuthority bool
	Local                       bool // the server, or a proxy of it, is on this machine
}

func transportOf(conn *pgx.Conn) (t Transport) {
	socket := conn.PgConn().Conn()
	if secured, ok := socket.(*tls.Conn); ok {
		state := secured.ConnectionState()
		t.TLS = &state
	}
	if c := conn.Config().TLSConfig; c != nil {
		t.ChecksName = !c.InsecureSkipVerify
		t.ChecksAuthority = t.ChecksName || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil
	}
	switch address := socket.RemoteAddr().(type) {
	case *net.TCPAddr:
		t.Local = address.IP.IsLoopback()
	case *net.UnixAddr:
		t.Local = true
	}
	return t
}

// CertificateFile is a file of certificates.
type CertificateFile struct {
	Name, Path string
	Authority  bool // it has those of authorities, not the client's own
}

// CertificateFiles are the files that the URL or the environment names.
func (c Config) CertificateFiles() (files []CertificateFile) {
	if mode, _ := c.parameter("sslmode", "PGSSLMODE"); mode == "disable" {
		return nil
	}
	if path, from := c.parameter("sslcert", "PGSSLCERT"); path != "" {
		files = append(files, CertificateFile{Name: from, Path: path})
	}
	if path, from := c.parameter("sslrootcert", "PGSSLROOTCERT"); path != "" && path != "system" {
		files = append(files, CertificateFile{Name: from, Path: path, Authority: true})
	}
	return files
}
