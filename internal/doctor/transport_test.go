package doctor

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

const day = 24 * time.Hour

// certificateUntil returns a self-signed certificate, and its file. The file of its key has .key after the name.
func certificateUntil(t *testing.T, until time.Time) (*x509.Certificate, string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"db.internal"}, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	testkit.Must(t, err)
	certificate, err := x509.ParseCertificate(der)
	testkit.Must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	testkit.Must(t, err)
	file := filepath.Join(t.TempDir(), "tls.crt")
	for name, block := range map[string]*pem.Block{
		file: {Type: "CERTIFICATE", Bytes: der}, file + ".key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		testkit.Must(t, os.WriteFile(name, pem.EncodeToMemory(block), 0o600))
	}
	return certificate, file
}

// credsUntil writes the credentials of a user; zero: they do not expire.
func credsUntil(t *testing.T, until time.Time) string {
	t.Helper()
	account, err := nkeys.CreateAccount()
	testkit.Must(t, err)
	user, err := nkeys.CreateUser()
	testkit.Must(t, err)
	public, err := user.PublicKey()
	testkit.Must(t, err)
	claims := jwt.NewUserClaims(public)
	if !until.IsZero() {
		claims.Expires = until.Unix()
	}
	token, err := claims.Encode(account)
	testkit.Must(t, err)
	seed, err := user.Seed()
	testkit.Must(t, err)
	content, err := jwt.FormatUserConfig(token, seed)
	testkit.Must(t, err)
	file := filepath.Join(t.TempDir(), "user.creds")
	testkit.Must(t, os.WriteFile(file, content, 0o600))
	return file
}

func TestDatabaseTLS(t *testing.T) {
	t.Parallel()
	now := time.Now()
	state := func(left time.Duration) *tls.ConnectionState {
		certificate, _ := certificateUntil(t, now.Add(left))
		return &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{certificate}}
	}
	year := state(365*day + time.Hour)
	for name, c := range map[string]struct {
		transport    postgres.Transport
		status, want string
	}{
		"none":               {postgres.Transport{}, Warning, "none: "},
		"none, on this host": {postgres.Transport{Local: true}, OK, "none: the server is on this machine"},
		"not checked":        {postgres.Transport{TLS: year}, Warning, "TLS 1.3, but the server's certificate is not checked"},
		"name not checked":   {postgres.Transport{TLS: year, ChecksAuthority: true}, Warning, "the name in the server's certificate is not checked"},
		"checked": {
			postgres.Transport{TLS: year, ChecksAuthority: true, ChecksName: true}, OK, "TLS 1.3; the certificate of db.internal expires on ",
		},
		"not checked, on this host": {postgres.Transport{TLS: year, Local: true}, OK, "in 365 days"},
		"expires soon": {
			postgres.Transport{TLS: state(13 * day), ChecksAuthority: true, ChecksName: true}, Warning, "new connections then fail",
		},
	} {
		found := checkDatabaseTLS(c.transport, now)
		testkit.Equal(t, name, found.Status, c.status)
		testkit.Contains(t, name, found.Message, c.want)
		if strings.Contains(found.Status, Warning) == (found.Hint == "") {
			t.Errorf("%s: hint %q", name, found.Hint)
		}
	}
}

func TestCredentialsExpiry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	_, year := certificateUntil(t, now.Add(365*day+time.Hour))
	_, week := certificateUntil(t, now.Add(7*day+time.Hour))
	_, past := certificateUntil(t, now.Add(-time.Hour))
	renewed := filepath.Join(t.TempDir(), "authorities.pem")
	old, err := os.ReadFile(past)
	testkit.Must(t, err)
	next, err := os.ReadFile(year)
	testkit.Must(t, err)
	testkit.Must(t, os.WriteFile(renewed, append(old, next...), 0o600))
	nats := func(name, value string) map[string]string { return map[string]string{"NATS_URL": "h", name: value} }
	database := func(parameters string) map[string]string {
		return map[string]string{"DATABASE_URL": "postgres://h/x?sslmode=verify-full&" + parameters}
	}
	for name, c := range map[string]struct {
		env          map[string]string
		status, want string
	}{
		"nothing":                     {nil, OK, "no file of credentials"},
		"a user without an end":       {nats("NATS_CREDS", credsUntil(t, time.Time{})), OK, "no file of credentials"},
		"a user":                      {nats("NATS_CREDS", credsUntil(t, now.Add(30*day+time.Hour))), OK, "the first to expire is the user of NATS_CREDS"},
		"a user, soon":                {nats("NATS_CREDS", credsUntil(t, now.Add(7*day+time.Hour))), Warning, "in 7 days"},
		"a user, over":                {nats("NATS_CREDS", credsUntil(t, now.Add(-time.Hour))), Fault, "the user of NATS_CREDS ("},
		"an authority, over":          {nats("NATS_TLS_CA", past), Fault, "the last certificate of NATS_TLS_CA (" + past + ") has expired on "},
		"an authority, renewed":       {nats("NATS_TLS_CA", renewed), OK, "in 365 days"},
		"a client":                    {map[string]string{"NATS_URL": "h", "NATS_TLS_CERT": week, "NATS_TLS_KEY": week + ".key"}, Warning, "the certificate of NATS_TLS_CERT"},
		"of the database":             {database("sslrootcert=" + year + "&sslcert=" + week + "&sslkey=" + week + ".key"), Warning, "DATABASE_URL: parameter sslcert"},
		"its authority":               {database("sslrootcert=" + past), Fault, "DATABASE_URL: parameter sslrootcert"},
		"the system's":                {database("sslrootcert=system"), OK, "no file of credentials"},
		"of traces":                   {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE": past}, Fault, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		"the first of several":        {map[string]string{"NATS_URL": "h", "NATS_TLS_CA": year, "DATABASE_URL": "postgres://h/x?sslrootcert=" + week}, Warning, "parameter sslrootcert"},
		"without TLS they are no use": {map[string]string{"DATABASE_URL": "postgres://h/x?sslmode=disable&sslrootcert=" + past}, OK, "no file"},
	} {
		configured, err := config.Load(t.Context(), envconfig.MapLookuper(c.env))
		testkit.Must(t, err)
		found := checkCredentials(configured, now)
		testkit.Equal(t, name, found.Status, c.status)
		testkit.Contains(t, name, found.Message, c.want)
	}
}
