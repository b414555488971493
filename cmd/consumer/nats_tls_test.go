package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// requireTLS makes a server require TLS and client certificates of the authority.
func requireTLS(t *testing.T, a *authority, name string) func(*server.Options) {
	t.Helper()
	return requireTLSWith(t, a, a.issue(name))
}

// requireTLSWith is requireTLS with the server's certificate.
func requireTLSWith(t *testing.T, a *authority, own pair) func(*server.Options) {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(own.certificate, own.key)
	testkit.Must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(content(t, a.file))
	return func(o *server.Options) {
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
			MinVersion: tls.VersionTLS12,
		}
		o.TLSTimeout = testkit.Patience.Seconds()
	}
}

// natsTLS are the TLS variables of NATS; ca and client may be empty.
func natsTLS(url, ca string, client pair) map[string]string {
	return map[string]string{
		"NATS_URL": strings.Replace(url, "nats://", "tls://", 1), "NATS_TLS_CA": ca,
		"NATS_TLS_CERT": client.certificate, "NATS_TLS_KEY": client.key,
	}
}

// assertProvisions asserts that a service and a command work with these variables.
func assertProvisions(t *testing.T, env map[string]string) {
	t.Helper()
	service := serve(t, settings(newSQLite(t).env, env))
	code, _, stderr := command(t, settings(env), requestArgs("acme", "--wait", outcomeWait)...)
	testkit.Equal(t, "exit code: "+stderr, code, 0)
	testkit.Equal(t, "exit code", service.stop(t), 0)
}

func TestNATSByTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	url := natstest.Start(t, requireTLS(t, a, "127.0.0.1"))
	assertProvisions(t, natsTLS(url, a.file, a.issue("service")))
}

// For each certificate error the log and /readyz show the fix, and the service waits; commands fail.
func TestNATSRefusesCertificates(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	url, misnamed, plain := natstest.Start(t, requireTLS(t, a, "127.0.0.1")), natstest.Start(t, requireTLS(t, a, "elsewhere.example")), natstest.Start(t)
	ended := natstest.Start(t, requireTLSWith(t, a, a.issueUntil("127.0.0.1", time.Now().Add(-time.Minute))))
	client := a.issue("service")
	for name, c := range map[string]struct {
		env  map[string]string
		want string
		once string // what a single attempt says, which may lose the server's alert; empty: want
	}{
		"authority":                         {natsTLS(url, other.file, client), "check NATS_TLS_CA", ""},
		"no authority":                      {natsTLS(url, "", client), "check NATS_TLS_CA", ""},
		"name":                              {natsTLS(misnamed, a.file, client), "correct the host in NATS_URL", ""},
		"no certificate":                    {natsTLS(url, a.file, pair{}), "check NATS_TLS_CERT and NATS_TLS_KEY", ""},
		"certificate of another authority":  {natsTLS(url, a.file, other.issue("service")), "check NATS_TLS_CERT and NATS_TLS_KEY", ""},
		"expired certificate of the server": {natsTLS(ended, a.file, client), "has expired or is not yet valid; replace it", ""},
		"certificate that has expired": {
			natsTLS(url, a.file, a.issueUntil("service", time.Now().Add(-time.Minute))), "replace NATS_TLS_CERT and NATS_TLS_KEY", "NATS_TLS_CERT and NATS_TLS_KEY",
		},
		"a server without TLS": {natsTLS(plain, a.file, client), "the server has no TLS", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := start(t, settings(newSQLite(t).env, c.env, with("HTTP_ADDR", "127.0.0.1:0")), "run")
			http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
			awaitNotReady(t, http, c.want)
			testkit.Logs(t, &service.stderr, c.want)
			testkit.Equal(t, "exit code", service.stop(t), 0)
			code, _, stderr := command(t, settings(c.env), "watch")
			testkit.Equal(t, "exit code", code, 1)
			testkit.Contains(t, "the command", stderr, cmp.Or(c.once, c.want))
			code, stdout, _ := command(t, settings(newSQLite(t).env, c.env), "doctor")
			testkit.Equal(t, "exit code of doctor", code, 1)
			testkit.Contains(t, "doctor", stdout, cmp.Or(c.once, c.want))
		})
	}
}

// A certificate without its key and invalid files are rejected before the service starts.
func TestFilesOfCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	junk := filepath.Join(t.TempDir(), "junk")
	testkit.Must(t, os.WriteFile(junk, []byte("-----BEGIN "+secret+"-----"), 0o600))
	client := newAuthority(t).issue("service")
	for name, env := range map[string]map[string]string{
		"NATS_TLS_CERT": natsTLS("nats://127.0.0.1:1", "", pair{client.certificate, ""}),
		"NATS_TLS_CA":   natsTLS("nats://127.0.0.1:1", junk, client),
		"NATS_TLS_KEY":  natsTLS("nats://127.0.0.1:1", "", pair{client.certificate, junk}),
		"NATS_CREDS":    {"NATS_URL": "nats://127.0.0.1:1", "NATS_CREDS": junk},
	} {
		code, _, stderr := command(t, settings(env), "run")
		testkit.Equal(t, "exit code of "+name, code, 2)
		testkit.Contains(t, "stderr", stderr, name)
		if strings.Contains(stderr, secret) {
			t.Errorf("the content of the file is shown: %s", stderr)
		}
	}
}

// issuer is a NATS operator with one account, whose users log in by credentials that servers do not store.
type issuer struct {
	t                 *testing.T
	operator, account nkeys.KeyPair
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	testkit.Must(t, err)
	account, err := nkeys.CreateAccount()
	testkit.Must(t, err)
	return &issuer{t, operator, account}
}

func (i *issuer) public(key nkeys.KeyPair) string {
	i.t.Helper()
	text, err := key.PublicKey()
	testkit.Must(i.t, err)
	return text
}

// config is the part of a server's configuration for the operator and the account.
func (i *issuer) config() string {
	i.t.Helper()
	operator := jwt.NewOperatorClaims(i.public(i.operator))
	token, err := operator.Encode(i.operator)
	testkit.Must(i.t, err)
	account := jwt.NewAccountClaims(i.public(i.account))
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	accountToken, err := account.Encode(i.operator)
	testkit.Must(i.t, err)
	system, err := nkeys.CreateAccount()
	testkit.Must(i.t, err)
	systemToken, err := jwt.NewAccountClaims(i.public(system)).Encode(i.operator)
	testkit.Must(i.t, err)
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		token, i.public(system), i.public(system), systemToken, i.public(i.account), accountToken)
}

// creds returns the file of a user's credentials, and the seed in it.
func (i *issuer) creds() (file, seed string) {
	i.t.Helper()
	user, err := nkeys.CreateUser()
	testkit.Must(i.t, err)
	token, err := jwt.NewUserClaims(i.public(user)).Encode(i.account)
	testkit.Must(i.t, err)
	private, err := user.Seed()
	testkit.Must(i.t, err)
	text, err := jwt.FormatUserConfig(token, private)
	testkit.Must(i.t, err)
	file = filepath.Join(i.t.TempDir(), "user.creds")
	testkit.Must(i.t, os.WriteFile(file, text, 0o600))
	return file, string(private)
}

// start starts a server that trusts the operator.
func (i *issuer) start() (url string) {
	i.t.Helper()
	file := filepath.Join(i.t.TempDir(), "server.conf")
	testkit.Must(i.t, os.WriteFile(file, []byte(i.config()), 0o600))
	configured, err := server.ProcessConfigFile(file)
	testkit.Must(i.t, err)
	return natstest.Start(i.t, func(o *server.Options) {
		configured.Host, configured.Port, configured.JetStream, configured.StoreDir = o.Host, o.Port, true, o.StoreDir
		configured.NoSigs, configured.NoLog = true, true
		*o = *configured
	})
}

func TestNATSByCreds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	file, _ := i.creds()
	assertProvisions(t, map[string]string{"NATS_URL": i.start(), "NATS_CREDS": file})
}

// Credentials that the server does not accept are named; the service waits until it does, or until they are replaced.
func TestNATSRefusesCreds(t *testing.T) {
	t.Parallel()
	url := newIssuer(t).start()
	file, seed := newIssuer(t).creds()
	for name, env := range map[string]map[string]string{
		"of another operator": {"NATS_URL": url, "NATS_CREDS": file},
		"none":                {"NATS_URL": url},
	} {
		r := start(t, settings(newSQLite(t).env, env), "run")
		testkit.Logs(t, &r.stderr, "check user and password in NATS_URL, or NATS_CREDS")
		testkit.Equal(t, name+": exit code", r.stop(t), 0)
		code, _, stderr := command(t, settings(env), "watch")
		testkit.Equal(t, name+": exit code", code, 1)
		testkit.Contains(t, name, stderr, "check user and password in NATS_URL, or NATS_CREDS")
		if strings.Contains(r.stderr.String()+stderr, seed) {
			t.Errorf("%s: the seed is shown", name)
		}
	}
}
