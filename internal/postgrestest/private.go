package postgrestest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL of one test's own, which the test may stop, kill and start again. The role postgres needs no
// password; every other role does.
type Server struct {
	// URL connects the role postgres to a database like that of Database.
	URL string
	// Addr is its host and port.
	Addr string

	t        testing.TB
	bin, dir string
	port     int
	settings []string
	process  *process // nil while it is stopped
}

// privateDatabase is the database of every [Server].
const privateDatabase = "tenants"

// Private starts a server from this machine's programs, because a container cannot be stopped and started as fast. The
// server is removed when t ends. settings are added to those of all servers here; tests in which the machine itself
// would fail need fsync=on.
func Private(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := newServer(t, settings, "initdb", initdb...)
	access := "host all,replication postgres 127.0.0.1/32 trust\n" +
		"host all all 127.0.0.1/32 scram-sha-256\n" //nolint:dupword // databases and roles
	if err := os.WriteFile(filepath.Join(s.dir, "data", "pg_hba.conf"), []byte(access), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
	s.Exec("CREATE DATABASE "+privateDatabase, "ALTER DATABASE "+privateDatabase+" SET search_path = public")
	makeHostile(t, localURL(s.port, privateDatabase))
	return s
}

// Standby starts a server that follows this one.
func (s *Server) Standby(settings ...string) *Server {
	s.t.Helper()
	standby := newServer(s.t, settings, "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
		"--dbname="+localURL(s.port, "postgres").String())
	standby.Start()
	return standby
}

// newServer creates a server from the data directory that the program creates.
func newServer(t testing.TB, added []string, program string, args ...string) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), localTimeout)
	defer cancel()
	bin, err := findPrograms(installations, exec.LookPath)
	if err != nil {
		t.Fatalf("postgrestest: a private server needs the PostgreSQL programs: %v; apt-get install postgresql", err)
	}
	dir, err := newDirectory(ctx, bin, program, args...)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	s := &Server{t: t, bin: bin, dir: dir, settings: slices.Concat(settings, added)}
	t.Cleanup(func() {
		s.end(syscall.SIGQUIT)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("postgrestest: %v", err)
		}
	})
	if s.port, err = freePort(ctx); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	url := localURL(s.port, privateDatabase)
	s.URL, s.Addr = url.String(), url.Host
	return s
}

// Start starts the server, on the same port as before, and waits until it accepts connections.
func (s *Server) Start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), localTimeout)
	defer cancel()
	// A server that was killed leaves its ready status behind.
	err := os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		s.process, err = serve(ctx, s.bin, s.dir, s.port, s.settings)
	}
	if err != nil {
		s.t.Fatalf("postgrestest: start: %v", err)
	}
}

// Stop ends all connections and then the server, as an operator does.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server without a checkpoint: it recovers when it is started.
func (s *Server) Kill() { s.end(syscall.SIGQUIT) }

func (s *Server) end(how os.Signal) {
	s.t.Helper()
	if s.process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.process.endBy(ctx, how); err != nil {
		s.t.Errorf("postgrestest: stop: %v", err)
	}
	s.process = nil
}

// Promote makes a standby writable.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec("SELECT pg_catalog.pg_promote()")
}

// Exec runs statements as the role postgres, each on its own, outside the database of URL.
func (s *Server) Exec(statements ...string) {
	s.t.Helper()
	maintenance := server{url: localURL(s.port, "postgres")}
	for _, statement := range statements {
		maintenance.exec(s.t, statement)
	}
}

// MoveTo moves the database of URL into a directory, for example one on a small file system.
func (s *Server) MoveTo(dir string) {
	s.t.Helper()
	_, owner, err := processAttributes()
	if err == nil && owner != nil {
		err = os.Chown(dir, owner.uid, owner.gid)
	}
	if err != nil {
		s.t.Fatalf("postgrestest: %v", err)
	}
	s.Exec("CREATE TABLESPACE elsewhere LOCATION '"+strings.ReplaceAll(dir, "'", "''")+"'",
		"ALTER DATABASE "+privateDatabase+" SET TABLESPACE elsewhere")
}

// Disconnect ends the connections of a role.
func (s *Server) Disconnect(role string) {
	s.t.Helper()
	s.Exec("SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = " +
		"'" + strings.ReplaceAll(role, "'", "''") + "'")
}

// Secure makes the server accept TLS with this certificate, and replaces pg_hba.conf: it admits the role postgres and
// what the access lines admit. Client certificates must be signed by the authority. All of it is PEM.
func (s *Server) Secure(certificate, key, authority []byte, access ...string) {
	s.t.Helper()
	s.Stop()
	_, owner, err := processAttributes()
	if err != nil {
		s.t.Fatalf("postgrestest: %v", err)
	}
	lines := append([]string{"host all,replication postgres 127.0.0.1/32 trust"}, access...)
	for name, content := range map[string][]byte{
		"server.crt": certificate, "server.key": key, "root.crt": authority,
		"pg_hba.conf": []byte(strings.Join(lines, "\n") + "\n"),
	} {
		path := filepath.Join(s.dir, "data", name)
		err := os.WriteFile(path, content, 0o600)
		if err == nil && owner != nil {
			err = os.Chown(path, owner.uid, owner.gid)
		}
		if err != nil {
			s.t.Fatalf("postgrestest: %v", err)
		}
	}
	s.settings = append(s.settings, "ssl=on", "ssl_ca_file=root.crt")
	s.Start()
}

// Synchronous makes every commit wait for a standby, which must exist.
func (s *Server) Synchronous() {
	s.t.Helper()
	s.Exec("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_catalog.pg_reload_conf()")
	ctx, cancel := context.WithTimeout(context.Background(), localTimeout)
	defer cancel()
	err := withConn(ctx, localURL(s.port, privateDatabase), func(c *pgx.Conn) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var there bool
			err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_replication WHERE sync_state = 'sync')").
				Scan(&there)
			if err != nil || there {
				return err
			}
			<-tick.C
		}
	})
	if err != nil {
		s.t.Fatalf("postgrestest: no synchronous standby: %v", err)
	}
}

// URLOf is the URL of another role, with its password.
func (s *Server) URLOf(role, password string) string {
	u := localURL(s.port, privateDatabase)
	u.User = url.UserPassword(role, password)
	return u.String()
}

// Run runs a client program of this server's version, such as pg_dump, and fails the test if it fails.
func (s *Server) Run(program string, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.bin, program), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("postgrestest: %s: %v: %s", program, err, out)
	}
}

// Recreate drops the database of URL and creates an empty one of the same name.
func (s *Server) Recreate() {
	s.t.Helper()
	s.Exec("DROP DATABASE "+privateDatabase+" WITH (FORCE)", "CREATE DATABASE "+privateDatabase)
}
