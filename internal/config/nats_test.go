package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/testkit"
)

// seedOf writes the seed of a new key to a file.
func seedOf(t *testing.T, create func() (nkeys.KeyPair, error)) string {
	t.Helper()
	key, err := create()
	testkit.Must(t, err)
	seed, err := key.Seed()
	testkit.Must(t, err)
	file := filepath.Join(t.TempDir(), "user.nk")
	testkit.Must(t, os.WriteFile(file, append(seed, '\n'), 0o600))
	return file
}

// publicOf writes the public key of a seed to a file.
func publicOf(t *testing.T, seedFile string) string {
	t.Helper()
	seed, err := os.ReadFile(seedFile)
	testkit.Must(t, err)
	key, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	testkit.Must(t, err)
	public, err := key.PublicKey()
	testkit.Must(t, err)
	file := filepath.Join(t.TempDir(), "user.pub")
	testkit.Must(t, os.WriteFile(file, []byte(public), 0o600))
	return file
}

func loaded(t *testing.T, env map[string]string) (Config, error) {
	t.Helper()
	return Load(t.Context(), envconfig.MapLookuper(env))
}

// A file of another kind is named, without its content.
func TestKindsOfCredentials(t *testing.T) {
	t.Parallel()
	creds, seed := credentials(t), seedOf(t, nkeys.CreateUser)
	account, junk := seedOf(t, nkeys.CreateAccount), filepath.Join(t.TempDir(), "junk")
	testkit.Must(t, os.WriteFile(junk, []byte("s3cr3t"), 0o600))
	for _, c := range []struct{ name, file, want string }{
		{"NATS_NKEY", seed, ""},
		{"NATS_CREDS", creds, ""},
		{"NATS_NKEY", creds, "is a credentials file; set NATS_CREDS"},
		{"NATS_CREDS", seed, "is the seed of an nkey, without a JWT; set NATS_NKEY"},
		{"NATS_NKEY", account, "is the seed of an account or of an operator; write that of a user"},
		{"NATS_CREDS", account, "is not a credentials file"},
		{"NATS_NKEY", publicOf(t, seed), "is a public key; write the seed"},
		{"NATS_NKEY", junk, "is not the seed of a user's nkey"},
		{"NATS_CREDS", junk, "is not a credentials file"},
		{"NATS_NKEY", t.TempDir(), "is a directory"},
	} {
		_, err := loaded(t, map[string]string{"NATS_URL": "nats://nats", c.name: c.file})
		switch {
		case c.want == "":
			testkit.Must(t, err)
		case err == nil || !strings.Contains(err.Error(), c.name+": ") || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s=%s: %v, want %s", c.name, c.file, err, c.want)
		case strings.Contains(err.Error(), "s3cr3t"):
			t.Errorf("the content is shown: %v", err)
		}
	}
}

// What cannot be together, and what the embedded server does not have, is refused by name.
func TestVariablesOfTheConnection(t *testing.T) {
	t.Parallel()
	creds, seed := credentials(t), seedOf(t, nkeys.CreateUser)
	certificate, key := pair(t)
	for _, c := range []struct {
		env  map[string]string
		want []string
	}{
		{map[string]string{"NATS_URL": "nats", "NATS_JS_DOMAIN": "leaf", "NATS_JS_API_PREFIX": "JS.a.API"}, []string{"NATS_JS_DOMAIN and NATS_JS_API_PREFIX: "}},
		{map[string]string{"NATS_URL": "nats", "NATS_CREDS": creds, "NATS_NKEY": seed}, []string{"NATS_CREDS and NATS_NKEY: "}},
		{map[string]string{"NATS_URL": "nats://a:b@nats,nats", "NATS_NKEY": seed}, []string{"NATS_NKEY and the user in NATS_URL: "}},
		{map[string]string{"NATS_URL": "nats://token@nats", "NATS_NKEY": seed}, []string{"NATS_NKEY and the user in NATS_URL: "}},
		{map[string]string{"NATS_URL": "wss://nats", "NATS_TLS_FIRST": "true"}, []string{"NATS_TLS_FIRST: not with ws://"}},
		{map[string]string{"NATS_URL": "nats", "NATS_JS_DOMAIN": "a.b"}, []string{"NATS_JS_DOMAIN: "}},
		{map[string]string{"NATS_URL": "nats", "NATS_JS_API_PREFIX": "a.>"}, []string{"NATS_JS_API_PREFIX: "}},
		{map[string]string{"NATS_URL": "nats", "NATS_JS_API_PREFIX": "JS.a.API."}, nil}, // as the client accepts it
		{map[string]string{"NATS_URL": "nats://a:b@nats", "NATS_CREDS": creds}, nil},    // the server decides
		{
			map[string]string{
				"NATS_CREDS": creds, "NATS_TLS_CA": certificate, "NATS_TLS_CERT": certificate, "NATS_TLS_KEY": key, "NATS_TLS_FIRST": "true",
				"NATS_JS_DOMAIN": "leaf",
			},
			[]string{"NATS_CREDS: the embedded server has no users; set NATS_URL", "NATS_TLS_CA: ", "NATS_TLS_CERT: ", "NATS_TLS_KEY: ", "NATS_TLS_FIRST: ", "NATS_JS_DOMAIN: "},
		},
		{map[string]string{"NATS_NKEY": seed, "NATS_JS_API_PREFIX": "a"}, []string{"NATS_NKEY: the embedded server", "NATS_JS_API_PREFIX: the embedded server"}},
	} {
		_, err := loaded(t, c.env)
		if c.want == nil {
			testkit.Must(t, err)
			continue
		}
		if err == nil {
			t.Errorf("%v is accepted", c.env)
			continue
		}
		testkit.Contains(t, "the error", err.Error(), c.want...)
	}
}
