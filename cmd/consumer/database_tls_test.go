package main

import (
	"net/url"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// secured is a PostgreSQL that is reached by TLS only: by password, or, as the role certified, by certificate.
func secured(t *testing.T, a *authority, name string) *postgrestest.Server {
	t.Helper()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE someone LOGIN PASSWORD '"+secret+"'", "CREATE ROLE certified LOGIN",
		"GRANT CREATE ON DATABASE tenants TO someone, certified")
	server := a.issue(name)
	s.Secure(content(t, server.certificate), content(t, server.key), content(t, a.file),
		"hostssl tenants certified 127.0.0.1/32 cert", "hostssl tenants all 127.0.0.1/32 scram-sha-256")
	return s
}

// through is a URL of the server with other parameters of TLS.
func through(t *testing.T, raw string, parameters map[string]string) map[string]string {
	t.Helper()
	u, err := url.Parse(raw)
	testkit.Must(t, err)
	query := url.Values{}
	for name, value := range parameters {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return with("DATABASE_URL", u.String())
}

func TestDatabaseByTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := secured(t, a, "127.0.0.1")
	client := a.issue("certified")
	for name, env := range map[string]map[string]string{
		"password": through(t, s.URLOf("someone", secret), map[string]string{"sslmode": "verify-full", "sslrootcert": a.file}),
		"certificate": through(t, s.URLOf("certified", ""), map[string]string{
			"sslmode": "verify-full", "sslrootcert": a.file, "sslcert": client.certificate, "sslkey": client.key,
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := with("REGISTRY_SCHEMA", "of_"+name) // each role has its own
			template := with("SCHEMA_TEMPLATE", name+"_{tenant_id}")
			nats := natstest.Start(t)
			service := serve(t, settings(env, registry, template, with("NATS_URL", nats)))
			code, _, stderr := command(t, with("NATS_URL", nats), requestArgs("acme", "--wait", outcomeWait)...)
			testkit.Equal(t, "exit code: "+stderr, code, 0)
			testkit.Equal(t, "exit code", service.stop(t), 0)
			code, stdout, _ := command(t, settings(env, registry, template), "tenants", "verify")
			testkit.Equal(t, "exit code of verify", code, 0)
			testkit.Contains(t, "verify", stdout, "in order 2")
		})
	}
}

// For every fault of the login the log and /readyz show what to do, the service waits, and no password is shown.
func TestDatabaseRefuses(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	s, misnamed := secured(t, a, "127.0.0.1"), secured(t, a, "elsewhere.example")
	verify := func(file string) map[string]string {
		return map[string]string{"sslmode": "verify-full", "sslrootcert": file}
	}
	strange := stranger.issue("certified")
	for name, c := range map[string]struct {
		env  map[string]string
		says string
	}{
		"authority": {through(t, s.URLOf("someone", secret), verify(stranger.file)), "check sslrootcert in DATABASE_URL"},
		"name":      {through(t, misnamed.URLOf("someone", secret), verify(a.file)), "correct the host in DATABASE_URL"},
		"password":  {through(t, s.URLOf("someone", "wr0ng-"+secret), verify(a.file)), "check user and password in DATABASE_URL"},
		"user":      {through(t, s.URLOf("nobody", secret), verify(a.file)), "check user and password in DATABASE_URL"},
		"no TLS":    {through(t, s.URLOf("someone", secret), map[string]string{"sslmode": "disable"}), "pg_hba.conf"},
		"no certificate": {
			through(t, s.URLOf("certified", secret), verify(a.file)), "check user and password in DATABASE_URL",
		},
		"certificate of another authority": {through(t, s.URLOf("certified", secret), map[string]string{
			"sslmode": "verify-full", "sslrootcert": a.file, "sslcert": strange.certificate, "sslkey": strange.key,
		}), "check sslcert and sslkey in DATABASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := start(t, settings(c.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0")), "run")
			http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
			testkit.Logs(t, &service.stderr, "waiting for the database", c.says)
			notReady(t, http, c.says)
			_, ready := get(t, http+"/readyz")
			testkit.Equal(t, "exit code", service.stop(t), 0)
			code, stdout, stderr := command(t, settings(c.env), "tenants", "list")
			testkit.Equal(t, "exit code", code, 1)
			testkit.Contains(t, "the command", stderr, c.says)
			if said := service.stderr.String() + ready + stdout + stderr; strings.Contains(said, secret) {
				t.Errorf("the password is shown: %s", said)
			}
		})
	}
}
