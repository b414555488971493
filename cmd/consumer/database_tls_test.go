package main

import (
	"cmp"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// startTLSPostgres starts a PostgreSQL server that requires TLS. The role certified logs in by certificate, others by
// password.
func startTLSPostgres(t *testing.T, a *authority, name string) *postgrestest.Server {
	t.Helper()
	return startTLSPostgresWith(t, a, a.issue(name))
}

// startTLSPostgresWith is startTLSPostgres with the server's certificate.
func startTLSPostgresWith(t *testing.T, a *authority, server pair) *postgrestest.Server {
	t.Helper()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE someone LOGIN PASSWORD '"+secret+"'", "CREATE ROLE certified LOGIN",
		"GRANT CREATE ON DATABASE tenants TO someone, certified")
	s.Secure(content(t, server.certificate), content(t, server.key), content(t, a.file),
		"hostssl tenants certified 127.0.0.1/32 cert", "hostssl tenants all 127.0.0.1/32 scram-sha-256")
	return s
}

// databaseURL is DATABASE_URL with only these parameters.
func databaseURL(t *testing.T, raw string, parameters map[string]string) map[string]string {
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
	s := startTLSPostgres(t, a, "127.0.0.1")
	client := a.issue("certified")
	for name, env := range map[string]map[string]string{
		"password": databaseURL(t, s.URLOf("someone", secret), map[string]string{"sslmode": "verify-full", "sslrootcert": a.file}),
		"certificate": databaseURL(t, s.URLOf("certified", ""), map[string]string{
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
			_, stdout, _ = command(t, settings(env, registry, template, with("NATS_URL", nats)), "doctor")
			testkit.Contains(t, "doctor", stdout, "TLS 1.3; the certificate of 127.0.0.1 expires on ")
		})
	}
}

// For each login error the log and /readyz show the fix, the service waits, and no password is shown.
func TestDatabaseRefuses(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	s, misnamed := startTLSPostgres(t, a, "127.0.0.1"), startTLSPostgres(t, a, "elsewhere.example")
	verify := func(file string) map[string]string {
		return map[string]string{"sslmode": "verify-full", "sslrootcert": file}
	}
	past := time.Now().Add(-time.Minute)
	ended := startTLSPostgresWith(t, a, a.issueUntil("127.0.0.1", past))
	otherClient, endedClient := other.issue("certified"), a.issueUntil("certified", past)
	for name, c := range map[string]struct {
		env  map[string]string
		want string
		once string // what a single attempt says, which may lose the server's alert; empty: want
	}{
		"authority": {databaseURL(t, s.URLOf("someone", secret), verify(other.file)), "check sslrootcert in DATABASE_URL", ""},
		"name":      {databaseURL(t, misnamed.URLOf("someone", secret), verify(a.file)), "correct the host in DATABASE_URL", ""},
		"expired":   {databaseURL(t, ended.URLOf("someone", secret), verify(a.file)), "has expired or is not yet valid; replace it", ""},
		"password":  {databaseURL(t, s.URLOf("someone", "wr0ng-"+secret), verify(a.file)), "check user and password in DATABASE_URL", ""},
		"user":      {databaseURL(t, s.URLOf("nobody", secret), verify(a.file)), "check user and password in DATABASE_URL", ""},
		"no TLS":    {databaseURL(t, s.URLOf("someone", secret), map[string]string{"sslmode": "disable"}), "pg_hba.conf", ""},
		"no certificate": {
			databaseURL(t, s.URLOf("certified", secret), verify(a.file)), "check user and password in DATABASE_URL", "",
		},
		"certificate of another authority": {databaseURL(t, s.URLOf("certified", secret), map[string]string{
			"sslmode": "verify-full", "sslrootcert": a.file, "sslcert": otherClient.certificate, "sslkey": otherClient.key,
		}), "check sslcert and sslkey in DATABASE_URL", ""},
		"certificate that has expired": {databaseURL(t, s.URLOf("certified", secret), map[string]string{
			"sslmode": "verify-full", "sslrootcert": a.file, "sslcert": endedClient.certificate, "sslkey": endedClient.key,
		}), "replace sslcert and sslkey in DATABASE_URL", "sslcert and sslkey in DATABASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := start(t, settings(c.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0")), "run")
			http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
			testkit.Logs(t, &service.stderr, "waiting for the database", c.want)
			awaitNotReady(t, http, c.want)
			_, ready := get(t, http+"/readyz")
			testkit.Equal(t, "exit code", service.stop(t), 0)
			code, stdout, stderr := command(t, settings(c.env), "tenants", "list")
			testkit.Equal(t, "exit code", code, 1)
			testkit.Contains(t, "the command", stderr, cmp.Or(c.once, c.want))
			code, diagnosis, _ := command(t, settings(c.env, with("NATS_EMBEDDED_DIR", t.TempDir())), "doctor")
			testkit.Equal(t, "exit code of doctor", code, 1)
			testkit.Contains(t, "doctor", diagnosis, cmp.Or(c.once, c.want))
			if output := service.stderr.String() + ready + stdout + stderr + diagnosis; strings.Contains(output, secret) {
				t.Errorf("the password is shown: %s", output)
			}
		})
	}
}

// The authority of the clients is replaced, and with it the login of the service: new files under the same names. The
// service uses them for its next connections, without a restart.
func TestDatabaseCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	a, next := newAuthority(t), newAuthority(t)
	s := startTLSPostgres(t, a, "127.0.0.1")
	login := a.issue("certified")
	env := databaseURL(t, s.URLOf("certified", ""), map[string]string{
		"sslmode": "verify-full", "sslrootcert": a.file, "sslcert": login.certificate, "sslkey": login.key,
	})
	nats := natstest.Start(t)
	service := serve(t, settings(env, with("NATS_URL", nats), with("HTTP_ADDR", "127.0.0.1:0")))
	http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	provision := func(tenant string) {
		t.Helper()
		code, _, stderr := command(t, with("NATS_URL", nats), requestArgs(tenant, "--wait", outcomeWait)...)
		testkit.Equal(t, "exit code: "+stderr, code, 0)
	}
	provision("acme")

	server := a.issue("127.0.0.1")
	s.Secure(content(t, server.certificate), content(t, server.key), content(t, next.file),
		"hostssl tenants certified 127.0.0.1/32 cert")
	awaitNotReady(t, http, "sslcert and sslkey")
	renewed := next.issue("certified")
	testkit.Must(t, os.Remove(login.key))
	awaitNotReady(t, http, "parameter sslkey: open "+login.key)
	testkit.Must(t, os.WriteFile(login.certificate, content(t, renewed.certificate), 0o600))
	testkit.Must(t, os.WriteFile(login.key, content(t, renewed.key), 0o600))
	provision("umbrella")
	testkit.Equal(t, "exit code", service.stop(t), 0)
}
