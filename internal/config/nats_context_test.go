package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"example.com/tenant-provisioner/internal/testkit"
)

// contextFileOf writes a context to a file.
func contextFileOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "context.json")
	testkit.Must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// named writes a context of that name below a directory of configuration.
func namedContext(t *testing.T, dir, name, text string) {
	t.Helper()
	dir = filepath.Join(dir, "nats", "context")
	testkit.Must(t, os.MkdirAll(dir, 0o700))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600))
}

// A variable that is set wins over the context's field; the context's user does not count beside one in a variable.
func TestContextGivesWhatIsNotSet(t *testing.T) {
	t.Parallel()
	creds, seed, ownSeed := credentials(t), seedOf(t, nkeys.CreateUser), seedOf(t, nkeys.CreateUser)
	certificate, key := pair(t)
	ownCertificate, ownKey := pair(t)
	whole := fmt.Sprintf(`{"url": "nats://a,nats://b", "description": "x", "color_scheme": "y", "jetstream_event_prefix": "z", "token": "",
		"creds": %q, "cert": %q, "key": %q, "ca": %q, "tls_first": true, "inbox_prefix": "_INBOX_x", "jetstream_domain": "leaf",
		"nsc": "", "windows_ca_certs_match": null, "socks_proxy": ""}`, creds, certificate, key, certificate)
	all := map[string]string{
		"NATS_URL": "nats://a,nats://b", "NATS_CREDS": creds, "NATS_NKEY": "", "NATS_TLS_CERT": certificate, "NATS_TLS_KEY": key,
		"NATS_TLS_CA": certificate, "NATS_TLS_FIRST": "true", "NATS_INBOX_PREFIX": "_INBOX_x", "NATS_JS_DOMAIN": "leaf",
	}
	user := `{"url": "nats://a:1, tls://b", "user": "me@x", "password": "p,/:%s3cr3t"}`
	for name, c := range map[string]struct {
		context   string
		env, want map[string]string
	}{
		"all": {whole, nil, all},
		"all set": {whole, map[string]string{
			"NATS_URL": "nats://own", "NATS_NKEY": ownSeed, "NATS_TLS_CERT": ownCertificate, "NATS_TLS_KEY": ownKey, "NATS_TLS_CA": ownCertificate,
			"NATS_TLS_FIRST": "false", "NATS_INBOX_PREFIX": "_INBOX_own", "NATS_JS_DOMAIN": "own",
		}, map[string]string{
			"NATS_URL": "nats://own", "NATS_NKEY": ownSeed, "NATS_CREDS": "", "NATS_TLS_CERT": ownCertificate, "NATS_TLS_KEY": ownKey,
			"NATS_TLS_CA": ownCertificate, "NATS_TLS_FIRST": "false", "NATS_INBOX_PREFIX": "_INBOX_own", "NATS_JS_DOMAIN": "own",
		}},
		"no url":               {`{"nkey": "` + seed + `"}`, nil, map[string]string{"NATS_URL": natsDefaultURL, "NATS_NKEY": seed}},
		"empty":                {`{}`, nil, map[string]string{"NATS_URL": natsDefaultURL}},
		"prefix":               {`{"jetstream_api_prefix": "JS.a"}`, nil, map[string]string{"NATS_JS_API_PREFIX": "JS.a"}},
		"user":                 {user, nil, map[string]string{"NATS_URL": "nats://xxxxx@a:1,tls://xxxxx@b"}},
		"token":                {`{"token": "s3cr3t", "url": "a"}`, nil, map[string]string{"NATS_URL": "nats://xxxxx@a"}},
		"user, of a variable":  {user, map[string]string{"NATS_URL": "nats://own:s3cr3t@c"}, map[string]string{"NATS_URL": "nats://xxxxx@c"}},
		"user, creds are set":  {user, map[string]string{"NATS_CREDS": creds}, map[string]string{"NATS_URL": "nats://a:1, tls://b", "NATS_CREDS": creds}},
		"creds, user is set":   {whole, map[string]string{"NATS_URL": "nats://own:s3cr3t@c"}, map[string]string{"NATS_URL": "nats://xxxxx@c", "NATS_CREDS": ""}},
		"nkey, creds are set":  {`{"nkey": "/nowhere"}`, map[string]string{"NATS_CREDS": creds}, map[string]string{"NATS_NKEY": "", "NATS_CREDS": creds}},
		"file URL, and HOME":   {`{"nkey": "file://~/` + filepath.Base(seed) + `"}`, map[string]string{"HOME": filepath.Dir(seed)}, map[string]string{"NATS_NKEY": seed}},
		"variable in the path": {`{"creds": "$CREDS"}`, map[string]string{"CREDS": creds}, map[string]string{"NATS_CREDS": creds}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"NATS_CONTEXT": contextFileOf(t, c.context)}
			for variable, value := range c.env {
				env[variable] = value
			}
			loaded, err := loaded(t, env)
			testkit.Must(t, err)
			for variable, want := range c.want {
				testkit.Equal(t, variable, shownAs(loaded, variable), want)
			}
			for _, s := range loaded.Settings(false) {
				if strings.Contains(s.Value+s.From, "s3cr3t") {
					t.Errorf("a secret is shown: %+v", s)
				}
				if set := env[s.Name] != ""; s.From != "" && (set || !strings.HasSuffix(s.From, " of the context "+env["NATS_CONTEXT"])) {
					t.Errorf("%+v, set %t", s, set)
				}
			}
		})
	}
	loaded, err := loaded(t, map[string]string{"NATS_CONTEXT": contextFileOf(t, user)})
	testkit.Must(t, err)
	testkit.Equal(t, "the URL for the client", loaded.NATSURL, "nats://me%40x:p%2C%2F%3A%25s3cr3t@a:1,tls://me%40x:p%2C%2F%3A%25s3cr3t@b")
}

// A context is found by its name where the nats CLI has it. Which one the CLI has selected does not matter.
func TestContextByName(t *testing.T) {
	t.Parallel()
	xdg, home := t.TempDir(), t.TempDir()
	namedContext(t, xdg, "prod", `{"url": "nats://xdg"}`)
	namedContext(t, filepath.Join(home, ".config"), "prod", `{"url": "nats://home"}`)
	testkit.Must(t, os.WriteFile(filepath.Join(xdg, "nats", "context.txt"), []byte("prod"), 0o600))
	for want, env := range map[string]map[string]string{
		"nats://xdg":  {"XDG_CONFIG_HOME": xdg, "HOME": home, "NATS_CONTEXT": "prod"},
		"nats://home": {"HOME": home, "NATS_CONTEXT": "prod"},
		"":            {"XDG_CONFIG_HOME": xdg},
	} {
		c, err := loaded(t, env)
		testkit.Must(t, err)
		testkit.Equal(t, fmt.Sprint(env), c.NATSURL, want)
	}
	c, err := loaded(t, map[string]string{"XDG_CONFIG_HOME": xdg, "NATS_CONTEXT": "prod"})
	testkit.Must(t, err)
	testkit.Equal(t, "origin", c.Settings(false)[0].From, "url of the context prod")
}

// A field that changes the connection and that has no variable is refused by name, and so is one that is not known.
func TestContextIsRefused(t *testing.T) {
	t.Parallel()
	creds, seed := credentials(t), seedOf(t, nkeys.CreateUser)
	var unused []string
	for _, f := range contextFields {
		texts := 0
		for _, text := range []string{f.Variable, f.Harmless, f.Instead} {
			if text != "" {
				texts++
			}
		}
		testkit.Equal(t, f.Name+": meanings", texts, 1)
		if f.Instead != "" {
			unused = append(unused, f.Name)
		}
	}
	cases := map[string]string{
		`[]`: "is not a context", `null`: "is not a context", `{"url":`: "is not a context", `{"url": 7}`: "url: is not a text",
		`{"tls_first": "yes"}`: "tls_first: is not true or false",
		`{"later": "s3cr3t"}`:  "later: this program does not know the field",
		`{"URL": "nats://x"}`:  "URL: this program does not know the field",
		`{"user": "a", "creds": "` + creds + `", "nkey": "` + seed + `"}`: "user and creds and nkey: keep one of them",
		`{"user": "a", "token": "s3cr3t"}`:                                "user and token: keep one of them",
		`{"user": "a", "password": "op://vault/s3cr3t"}`:                  "password: this program does not resolve op: references",
		`{"creds": "data:;base64,s3cr3t"}`:                                "creds: this program does not resolve data: references",
		`{"nkey": "env://s3cr3t"}`:                                        "nkey: this program does not resolve env: references",
		`{"creds": "nsc://o/a/s3cr3t"}`:                                   "creds: this program does not resolve nsc: references",
		`{"token": "file:///s3cr3t"}`:                                     "token: this program does not resolve file: references",
		`{"jetstream_domain": "a", "jetstream_api_prefix": "b"}`:          "NATS_JS_DOMAIN (jetstream_domain of the context ",
		`{"creds": "` + seed + `"}`:                                       "NATS_CREDS (creds of the context ",
		`{"creds": "/nowhere/creds"}`:                                     "/nowhere/creds",
		`{"url": "http://x"}`:                                             "NATS_URL (url of the context ",
	}
	for _, field := range unused {
		value := `"s3cr3t"`
		if field == "windows_ca_certs_match" {
			value = `["s3cr3t"]`
		}
		cases[`{"`+field+`": `+value+`}`] = field + ": this program does not use the field, which changes the connection; "
	}
	for text, want := range cases {
		file := contextFileOf(t, text)
		_, err := loaded(t, map[string]string{"NATS_CONTEXT": file})
		if err == nil {
			t.Errorf("%s is accepted", text)
			continue
		}
		testkit.Contains(t, text, err.Error(), want, file)
		if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "embedded") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// All faults at once, those of variables too.
	_, err := loaded(t, map[string]string{
		"NATS_CONTEXT": contextFileOf(t, `{"socks_proxy": "x", "nsc": "y", "tls_first": 1}`), "CONCURRENCY": "0", "NATS_REPLICAS": "3",
	})
	testkit.Contains(t, "the error", err.Error(), "socks_proxy: ", "nsc: ", "tls_first: ", "CONCURRENCY: ")
	_, err = loaded(t, map[string]string{"NATS_CONTEXT": "absent", "XDG_CONFIG_HOME": t.TempDir(), "NATS_CREDS": creds})
	testkit.Contains(t, "the error", err.Error(), "NATS_CONTEXT: no such context: ", "/nats/context/absent.json", "nats context ls lists")
	testkit.Equal(t, "other faults", strings.Contains(err.Error(), "embedded"), false)
	if !slices.Contains(unused, "nsc") {
		t.Error("no field is refused")
	}
}
