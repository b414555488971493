package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/testkit"
)

// validValues are values that differ from the defaults. Every variable needs one here.
func validValues(t *testing.T) map[string]string {
	t.Helper()
	certificate, key := pair(t)
	return map[string]string{
		"NATS_URL": "nats://me:s3cr3t@nats:4222", "NATS_URL_FILE": fileOf(t, "nats://me:s3cr3t@nats:4222\n"),
		"DATABASE_URL_FILE": fileOf(t, "postgres://me:s3cr3t@h/x\n"), "NATS_CREDS": credentials(t), "NATS_TLS_CA": certificate,
		"NATS_CONTEXT": contextFileOf(t, `{"description": "x"}`), "NATS_NKEY": seedOf(t, nkeys.CreateUser), "NATS_TLS_FIRST": "true",
		"NATS_JS_DOMAIN": "leaf", "NATS_JS_API_PREFIX": "JS.a.API",
		"NATS_TLS_CERT": certificate, "NATS_TLS_KEY": key, "NATS_INBOX_PREFIX": "_INBOX_a", "NATS_EMBEDDED_ADDR": "127.0.0.1:0",
		"NATS_EMBEDDED_DIR": "elsewhere", "NATS_REPLICAS": "3", "NATS_MANAGE_STREAMS": "false",
		"DATABASE_URL": "postgres://me@h/x", "REGISTRY_SCHEMA": "select", "SCHEMA_TEMPLATE": "t_{tenant_id}",
		"DATABASE_PATH_TEMPLATE": "t_{tenant_id}/x.db", "PREPARED_BOUNDARIES": "1", "EVENT_SOURCE": "/a", "CONCURRENCY": "2",
		"MAX_ATTEMPTS": "2", "BACKOFF_MIN": "2s", "BACKOFF_MAX": "2m0s", "ACK_WAIT": "2s", "DRAIN_TIMEOUT": "2s", "LEDGER_RETENTION": "2400h0m0s",
		"PLANS": "../../deploy/plans.yaml", "INIT_SCRIPTS": "../../deploy/init-scripts/orders", "INIT_SCRIPT_TIMEOUT": "2s",
		"SEED_DATA": "../../deploy/seed-data", "BASE_DEFINITION": "none",
		"HTTP_ADDR": "localhost:1", "LOG_LEVEL": "WARN", "LOG_FORMAT": "json",
	}
}

// fileOf writes a file.
func fileOf(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	testkit.Must(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// pair writes a certificate and its key.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	testkit.Must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	testkit.Must(t, err)
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	testkit.Must(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	testkit.Must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certificate, key
}

// credentials writes a credentials file.
func credentials(t *testing.T) string {
	t.Helper()
	user, err := nkeys.CreateUser()
	testkit.Must(t, err)
	seed, err := user.Seed()
	testkit.Must(t, err)
	file := filepath.Join(t.TempDir(), "user.creds")
	testkit.Must(t, os.WriteFile(file, []byte("-----BEGIN NATS USER JWT-----\neyJ0.eyJz.c2ln\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n"+string(seed)+"\n------END USER NKEY SEED------\n"), 0o600))
	return file
}

// invalidValues are values of another type, and out of range, by the type and the tags of the field.
func invalidValues(v variable) (values []string) {
	switch v.kind {
	case kind(reflect.TypeFor[bool]()):
		values = []string{"perhaps", "2", "yes"}
	case kind(reflect.TypeFor[int]()):
		values = []string{"many", "1.5", "1e3", "99999999999999999999"}
	case kind(reflect.TypeFor[time.Duration]()):
		values = []string{"soon", "30", "99999999999999h"}
	case kind(reflect.TypeFor[string]()):
	default:
		values = []string{"loud"}
	}
	c := v.constraint
	if c.max != "" {
		values = append(values, strconv.Itoa(mustInt(c.min)-1), strconv.Itoa(mustInt(c.max)+1))
	} else if c.min != "" {
		values = append(values, (mustDuration(c.min) - 1).String())
	}
	if c.above != "" {
		values = append(values, c.above, "-1s")
	}
	if len(c.oneOf) > 0 {
		values = append(values, "neither")
	}
	switch c.is {
	case "file", "YAML file":
		values = append(values, "/nowhere/file")
	case "host:port":
		values = append(values, "here", "here:", "here:65536", "here:-1", "here:http", "http://here:1", "/run/here:1")
	}
	return values
}

// Every variable, whatever file, shell or manifest sets it.
func TestFormsOfEveryVariable(t *testing.T) {
	t.Parallel()
	valid := validValues(t)
	load := func(name, value string) (shown string, err error) {
		env := maps.Clone(valid)
		exclusive := map[string]map[string]string{
			"NATS_NKEY": {"NATS_CREDS": "", "NATS_URL": "nats:4222"}, "NATS_JS_API_PREFIX": {"NATS_JS_DOMAIN": ""},
			"NATS_URL_FILE": {"NATS_URL": ""}, "DATABASE_URL_FILE": {"DATABASE_URL": ""},
		}
		for other, without := range exclusive {
			if other == name {
				maps.Copy(env, without)
			} else {
				delete(env, other)
			}
		}
		env[name] = value
		c, err := Load(t.Context(), envconfig.MapLookuper(env))
		return shownAs(c, name), err
	}
	defaults, err := Load(t.Context(), envconfig.MapLookuper(nil))
	testkit.Must(t, err)
	for _, v := range variables() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			if valid[v.name] == "" {
				t.Fatal("the variable has no valid value in this test")
			}
			want, err := load(v.name, valid[v.name])
			testkit.Must(t, err)
			if want == shownAs(defaults, v.name) {
				t.Errorf("%s is the default: the test needs another value", want)
			}
			for _, value := range []string{valid[v.name] + "\n", valid[v.name] + "\r\n", " \t" + valid[v.name] + "  "} {
				shown, err := load(v.name, value)
				if err != nil || shown != want {
					t.Errorf("%q is %q, %v; want %q", value, shown, err, want)
				}
			}
			for _, value := range []string{"", " ", "\n", "\r\n"} {
				// Alone: others may require this one.
				c, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{v.name: value}))
				want := shownAs(defaults, v.name)
				if v.constraint.optional {
					want = ""
				}
				if shown := shownAs(c, v.name); err != nil || shown != want {
					t.Errorf("%q is %q, %v; want %q", value, shown, err, want)
				}
			}
			refused := append(invalidValues(v), `"`+valid[v.name]+`"`, `'`+valid[v.name]+`'`, `"`+valid[v.name],
				valid[v.name]+"\nB=1", "a\x00b")
			for _, value := range refused {
				_, err := load(v.name, value)
				if err == nil || !strings.Contains(err.Error(), v.name+": ") || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%q: %v", value, err)
				}
			}
		})
	}
}

func shownAs(c Config, name string) string {
	for _, s := range c.Settings(false) {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// One fault hides no other, of the same variable, of another, or of another kind.
func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	env, want := map[string]string{"OTEL_TRACES_EXPORTER": "jaeger"}, []string{"OTEL_TRACES_EXPORTER: "}
	for _, v := range variables() {
		// The first, or a value in quotation marks, of two lines.
		env[v.name] = append(invalidValues(v), "\""+v.name+"\nx\"")[0]
		want = append(want, v.name+": ")
	}
	_, err := Load(t.Context(), envconfig.MapLookuper(env))
	testkit.Contains(t, "the error", err.Error(), want...)
	_, err = Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"NATS_TLS_CERT": "/nowhere/cert", "NATS_CREDS": "variable.go", "DATABASE_URL": "jdbc:x", "REGISTRY_SCHEMA": `"Docex"`,
		"SCHEMA_TEMPLATE": "pg_{tenant_id}",
	}))
	testkit.Contains(t, "the error", err.Error(), "NATS_TLS_CERT: ", "NATS_TLS_CERT and NATS_TLS_KEY: ", "NATS_CREDS: ",
		"DATABASE_URL: ", "REGISTRY_SCHEMA: begins with a quotation mark", `REGISTRY_SCHEMA: "Docex" is not allowed`, "SCHEMA_TEMPLATE: ")
	_, err = Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"DATABASE_URL": "postgres://me@h:99999/x?sslmod=require&sslcrl=/x&synchronous_commit=off&connect_timeout=soon", "CONCURRENCY": "x",
	}))
	testkit.Contains(t, "the error", err.Error(), `unknown parameter "sslmod"`, "parameter sslcrl", "synchronous_commit=off", "CONCURRENCY: ")
	_, err = Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"DATABASE_URL": "postgres://me@h/x?sslmod=require&sslrootcert=/nowhere/ca",
	}))
	testkit.Contains(t, "the error", err.Error(), `unknown parameter "sslmod"`, "/nowhere/ca")
}

// Ports that no server can have.
func TestPortsOutOfRange(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"NATS_URL":     {"nats://h:0", "nats://h:65536", "h:99999", "nats://a:4222,tls://h:70000"},
		"DATABASE_URL": {"postgres://h:0/x", "postgres://h:65536/x", "postgres://a:5432,h:99999/x", "postgres://h/x?port=70000"},
	} {
		for _, value := range values {
			_, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{name: value}))
			if err == nil || !strings.Contains(err.Error(), name+": ") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// Names that resemble a variable's are found, and names that other programs use are not.
func TestMisspelledVariables(t *testing.T) {
	t.Parallel()
	for _, v := range variables() {
		last := len(v.name) - 1
		for _, name := range []string{
			strings.ToLower(v.name), v.name + "S", v.name[:last], strings.ReplaceAll(v.name, "_", ""),
			strings.ReplaceAll(v.name, "_", "-"), v.name[:last-1] + v.name[last:] + v.name[last-1:last],
		} {
			if name == v.name {
				continue
			}
			got := Misspelled([]string{name + "=1", v.name + "=2"})
			if len(got) != 1 || got[0].Name != name {
				t.Errorf("%s: %v, want %s", name, got, v.name)
			}
		}
	}
	got := Misspelled([]string{
		"PATH=/bin", "HTTP_PROXY=x", "NATS_PORT=tcp://10.0.0.1:4222", "NATS_SERVICE_HOST=10.0.0.1", "NATS_PORT_4222_TCP=x", "NATS_USER=x",
		"NATS_CONTEXT=x", "NATS_CA=x", "NATS_CERT=x", "NATS_KEY=x", "DATABASE_HOST=x", "DATABASE_USER=x", "LOG_FILE=x", "EMPTY=", "HOSTNAME=x",
		"NATS_URLS=", "POSTGRES_PASSWORD=x", "PGHOST=x", "OTEL_LOGS_EXPORTER=x", "WEB_CONCURRENCY=4", "TERM=x", "NO_COLOR=1", "GOGC=100",
	})
	if len(got) != 0 {
		t.Errorf("%v", got)
	}
}
