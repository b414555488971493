package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]pipeline.Class{
		"40001": pipeline.Transient, "40P01": pipeline.Transient, "55P03": pipeline.Transient, "57014": pipeline.Transient,
		"53200": pipeline.Transient, "23505": pipeline.Transient, "42P06": pipeline.Transient,
		"42P07": pipeline.Transient, "XX000": pipeline.Transient, "99999": pipeline.Transient, "": pipeline.Transient,
		"08006": pipeline.Outage, "57P01": pipeline.Outage, "57P02": pipeline.Outage, "57P03": pipeline.Outage,
		"25006": pipeline.Outage, "53100": pipeline.Outage, "53300": pipeline.Outage, "57P04": pipeline.Outage, "57P05": pipeline.Outage, "28P01": pipeline.Outage, "3D000": pipeline.Outage,
		"58030": pipeline.Transient, "58P01": pipeline.Transient, "XX001": pipeline.Transient, "0A000": pipeline.Transient,
		"42501": pipeline.Permanent, "42804": pipeline.Permanent, "42P16": pipeline.Permanent, "42830": pipeline.Permanent,
	} {
		err := classify(fmt.Errorf("x: %w", &pgconn.PgError{Code: code}))
		var f *pipeline.Fault
		if !errors.As(err, &f) || f.Class != want || f.DriverCode != code || (f.Class == pipeline.Permanent) != (f.Code != "") {
			t.Errorf("%s: %+v", code, f)
		}
	}
	var f *pipeline.Fault
	if errors.As(classify(&pgconn.PgError{Code: "42501"}), &f); f.Code != events.CausePermissionDenied || f.Message == "" {
		t.Errorf("%+v", f)
	}
	for err, want := range map[error]pipeline.Class{
		io.ErrUnexpectedEOF:      pipeline.Outage,
		context.DeadlineExceeded: pipeline.Outage,
		pgx.ErrNoRows:            pipeline.Transient,
	} {
		if errors.As(classify(err), &f); f.Class != want {
			t.Errorf("%v: %+v", err, f)
		}
	}
	if classify(nil) != nil {
		t.Error("nil is classified as a fault")
	}
}

// A server's alert about a client certificate can be lost with the connection. The hint appears only for clients that
// present one.
func TestConnectionClosedAfterACertificate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		certificates int
		hint         string
	}{"with a certificate": {1, "check sslcert and sslkey"}, "without one": {0, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go func() {
				for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
					_ = conn.Close()
				}
			}()
			config, err := pgconn.ParseConfig("postgres://someone@" + l.Addr().String() + "/tenants?sslmode=require")
			if err != nil {
				t.Fatal(err)
			}
			config.TLSConfig.Certificates = make([]tls.Certificate, c.certificates)
			_, err = pgconn.ConnectConfig(t.Context(), config)
			var f *pipeline.Fault
			if !errors.As(classify(err), &f) || f.Class != pipeline.Outage || !strings.Contains(f.Message, c.hint) ||
				(f.Message == "") != (c.hint == "") {
				t.Errorf("%v: %+v", err, f)
			}
		})
	}
}

// An error counts as an index's own only if the next attempt would get it again.
func TestErrorsOfAnIndex(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"42501": true, "42703": true, "42P07": true, "23505": true, "54000": true, "P0001": true,
		"40P01": false, "40001": false, "53200": false, "53300": false, "55P03": false, "57014": false, "57P01": false,
	} {
		if got := permanent(classify(&pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
	if permanent(classify(io.EOF)) || permanent(nil) {
		t.Error("a lost connection counts as an index's error")
	}
}

// A failed index is identified by its position in the list.
func TestIndexesAreInTheOrderOfTheDefinition(t *testing.T) {
	t.Parallel()
	q, err := loadQueries("docex_system")
	if err != nil {
		t.Fatal(err)
	}
	statements := sql.Statements(render(q.Indexes, "schema", "s"))
	if len(statements) != len(sql.Indexes) {
		t.Fatalf("%d statements, %d indexes", len(statements), len(sql.Indexes))
	}
	for i, x := range sql.Indexes {
		if !strings.Contains(statements[i], " "+x.Name+` ON "s".`+x.Table+" ("+x.Column+")") {
			t.Errorf("%d: %s, want %+v", i, statements[i], x)
		}
	}
}

// A password that would be parsed as something else is rejected, with the correct form, and not repeated in the error.
// URLs that can be read in only one way are left to the driver.
func TestURLsThatCanBeMisread(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://me:hun@ter2@h/x", "postgres://me:hun@ter2/2@h:5432/x", "postgres://me:hun/ter2@h/x",
		"postgres://me:5432/hunter2@h/x", "postgres://me:hunter2@@h/x", "postgresql://me:hun@ter2@h1:1,h2:2/x?a=b",
	} {
		err := Config{URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1}.Check()
		if err == nil || !strings.Contains(err.Error(), "@ as %40, / as %2F") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{
		"postgres://me:hun%40ter%2F2@h/x", "postgres://me:a?b#c:d@h/x", "postgres://h/x?user=me@corp", "postgres://me@h1:1,h2:2/x?application_name=b@c",
		"postgres:///x?host=/run/postgresql&password=a@b/c", "postgres://h", "host=h password=a@b/c",
	} {
		if err := (Config{URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1}).Check(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	t.Parallel()
	err := Config{URL: "postgres://u:hunter2@h:x/", Registry: "information_schema", SchemaTemplate: "{tenant_id}"}.Check()
	for _, name := range []string{"DATABASE_URL", "REGISTRY_SCHEMA", "SCHEMA_TEMPLATE", "CONCURRENCY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("it contains the password")
	}
}

// Quoting preserves names with any content.
func FuzzRender(f *testing.F) {
	f.Add("tenant_acme")
	f.Add(`"; DROP SCHEMA x; --`)
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsRune(name, 0) { // rejected by the templates
			t.Skip()
		}
		got := render("CREATE SCHEMA {schema}", "schema", name)
		inner, begins := strings.CutPrefix(got, `CREATE SCHEMA "`)
		inner, ends := strings.CutSuffix(inner, `"`)
		if !begins || !ends || strings.ReplaceAll(inner, `""`, `"`) != name || strings.Count(inner, `"`)%2 != 0 {
			t.Errorf("%q gives %q", name, got)
		}
	})
}
