package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// contextField is a field of a context of the nats CLI, and what it means here. One of the texts is set.
type contextField struct {
	Name     string
	Variable string // that has the field's value, or a part of it, where it is not set
	Harmless string // why the field does not matter
	Instead  string // what to do: the field is refused, because it would change the connection
}

// contextFields has all fields of a context. (github.com/nats-io/jsm.go 0.5.0, natscontext/context.go, settings) A test
// compares it with that source.
var contextFields = []contextField{
	{Name: "name", Harmless: "it is for people"},
	{Name: "description", Harmless: "it is for people"},
	{Name: "color_scheme", Harmless: "it is for terminals"},
	{Name: "url", Variable: "NATS_URL"},
	{Name: "user", Variable: "NATS_URL"},
	{Name: "password", Variable: "NATS_URL"},
	{Name: "token", Variable: "NATS_URL"},
	{Name: "creds", Variable: "NATS_CREDS"},
	{Name: "nkey", Variable: "NATS_NKEY"},
	{Name: "cert", Variable: "NATS_TLS_CERT"},
	{Name: "key", Variable: "NATS_TLS_KEY"},
	{Name: "ca", Variable: "NATS_TLS_CA"},
	{Name: "tls_first", Variable: "NATS_TLS_FIRST"},
	{Name: "inbox_prefix", Variable: "NATS_INBOX_PREFIX"},
	{Name: "jetstream_domain", Variable: "NATS_JS_DOMAIN"},
	{Name: "jetstream_api_prefix", Variable: "NATS_JS_API_PREFIX"},
	{Name: "jetstream_event_prefix", Harmless: "the program reads no advisories"},
	{Name: "nsc", Instead: "write the user's credentials to a file (nsc generate creds), and name it in creds"},
	{Name: "user_jwt", Instead: "write the JWT and the seed to a credentials file, and name it in creds"},
	{Name: "user_seed", Instead: "write the JWT and the seed to a credentials file, and name it in creds"},
	{Name: "socks_proxy", Instead: "connect to a server that needs no proxy, such as a leaf node"},
	{Name: "windows_cert_store", Instead: windowsInstead},
	{Name: "windows_cert_match_by", Instead: windowsInstead},
	{Name: "windows_cert_match", Instead: windowsInstead},
	{Name: "windows_ca_certs_match", Instead: windowsInstead},
}

const windowsInstead = "export the certificates to files, and name them in cert, key and ca"

// natsDefaultURL is where the nats CLI connects if a context has no url.
const natsDefaultURL = "nats://127.0.0.1:4222"

// readContext takes the values of variables that are not set from the context. The context's user does not count where
// a variable has one. Errors contain no values.
func (c *Config) readContext(env envconfig.Lookuper, set map[string]bool) error {
	if c.NATSContext == "" {
		return nil
	}
	x, err := loadContext(c.NATSContext, env)
	if err != nil {
		c.NATSURL = cmp.Or(c.NATSURL, natsDefaultURL) // not the embedded server
		return fmt.Errorf("NATS_CONTEXT: %w", err)
	}
	x.checkFields()
	c.use(x, set)
	return errors.Join(x.faults...)
}

// named is the variable's name in an error, with the origin of its value.
func (c *Config) named(variable string) string {
	if origin := c.origins[variable]; origin != "" {
		return fmt.Sprintf("%s (%s)", variable, origin)
	}
	return variable
}

// natsContext is a context that has been read.
type natsContext struct {
	path   string
	values map[string]json.RawMessage // by field, those that are set
	env    envconfig.Lookuper
	faults []error
}

// loadContext reads the context with this name or in this file.
func loadContext(name string, env envconfig.Lookuper) (*natsContext, error) {
	path, err := contextFile(name, env)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it has the path
	}
	x := &natsContext{path: path, env: env}
	if err := json.Unmarshal(content, &x.values); err != nil || x.values == nil {
		return nil, fmt.Errorf("%s is not a context of the nats CLI, which is a JSON object", path)
	}
	maps.DeleteFunc(x.values, func(_ string, value json.RawMessage) bool {
		return slices.Contains([]string{`""`, "false", "null", "[]"}, string(bytes.TrimSpace(value)))
	})
	return x, nil
}

// fault adds a fault of a field.
func (x *natsContext) fault(field, format string, args ...any) {
	x.faults = append(x.faults, fmt.Errorf("NATS_CONTEXT: %s: %s: %s", x.path, field, fmt.Sprintf(format, args...)))
}

// contextFile returns the file of a context, as the nats CLI finds it.
func contextFile(name string, env envconfig.Lookuper) (string, error) {
	if strings.ContainsAny(name, `/\`) || filepath.Ext(name) == ".json" {
		return name, nil
	}
	var searched []string
	for _, dir := range contextDirs(env) {
		path := filepath.Join(dir, "nats", "context", name+".json")
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		searched = append(searched, path)
	}
	return "", fmt.Errorf("no such context: %s does not exist; nats context ls lists the names; or give a file's path",
		strings.Join(searched, ", "))
}

// contextDirs are the directories of configuration: XDG_CONFIG_HOME or, where that is not set, those of HOME and of the
// user. The nats CLI uses the user's, which differs from HOME where a supervisor sets that.
func contextDirs(env envconfig.Lookuper) (dirs []string) {
	if dir, _ := env.Lookup("XDG_CONFIG_HOME"); dir != "" {
		return []string{dir}
	}
	for _, home := range homes(env) {
		dirs = append(dirs, filepath.Join(home, ".config"))
	}
	return dirs
}

func homes(env envconfig.Lookuper) (dirs []string) {
	if home, _ := env.Lookup("HOME"); home != "" {
		dirs = append(dirs, home)
	}
	if me, err := user.Current(); err == nil && me.HomeDir != "" && !slices.Contains(dirs, me.HomeDir) {
		dirs = append(dirs, me.HomeDir)
	}
	return dirs
}

// checkFields refuses fields that would change the connection, and that this program does not use.
func (x *natsContext) checkFields() {
	for _, name := range slices.Sorted(maps.Keys(x.values)) {
		i := slices.IndexFunc(contextFields, func(f contextField) bool { return f.Name == name })
		switch {
		case i < 0:
			x.fault(name, "this program does not know the field, which may change the connection; remove it")
		case contextFields[i].Instead != "":
			x.fault(name, "this program does not use the field, which changes the connection; %s", contextFields[i].Instead)
		}
	}
}

// references are the schemes that the nats CLI resolves in the values of users and files; "file" only of files.
var references = []string{"op", "nsc", "env", "data", "file"}

// text returns the value of a field; empty: it is not set, or refers to something that this program does not read.
func (x *natsContext) text(field string) (value string) {
	raw := x.values[field]
	if raw == nil {
		return ""
	}
	if json.Unmarshal(raw, &value) != nil {
		x.fault(field, "is not a text")
		return ""
	}
	if scheme, _, found := strings.Cut(value, ":"); found && slices.Contains(references, strings.ToLower(scheme)) {
		x.fault(field, "this program does not resolve %s: references; write the value itself, of creds and nkey the path "+
			"of a file", strings.ToLower(scheme))
		return ""
	}
	return value
}

// file returns the value of a field that is a path, expanded as the nats CLI does.
func (x *natsContext) file(field string) string {
	var path string
	json.Unmarshal(x.values[field], &path) //nolint:errcheck // see text
	if scheme, rest, found := strings.Cut(path, "://"); found && strings.EqualFold(scheme, "file") {
		path = rest
	} else {
		path = x.text(field)
	}
	path = os.Expand(path, func(name string) string {
		value, _ := x.env.Lookup(name)
		return value
	})
	if rest, found := strings.CutPrefix(path, "~"); found {
		if all := homes(x.env); len(all) > 0 {
			return all[0] + rest
		}
	}
	return path
}

// use takes the values of the context for the variables that are not set.
func (c *Config) use(x *natsContext, set map[string]bool) {
	from := func(field string) string { return field + " of the context " + c.NATSContext }
	take := func(field, variable string, to *string, value func(field string) string) {
		if !set[variable] && x.values[field] != nil {
			*to, c.origins[variable] = value(field), from(field)
		}
	}
	hasUser := slices.ContainsFunc(natsServers(c.NATSURL), func(server string) bool {
		u, ok := parseNATSServer(server)
		return ok && u.User != nil
	})
	take("url", "NATS_URL", &c.NATSURL, x.text)
	c.NATSURL = cmp.Or(c.NATSURL, natsDefaultURL)
	if !set["NATS_CREDS"] && !set["NATS_NKEY"] && !hasUser {
		x.checkUser()
		c.useUser(x, from)
		take("creds", "NATS_CREDS", &c.NATSCreds, x.file)
		take("nkey", "NATS_NKEY", &c.NATSNkey, x.file)
	}
	if !set["NATS_TLS_CERT"] && !set["NATS_TLS_KEY"] {
		take("cert", "NATS_TLS_CERT", &c.NATSTLSCert, x.file)
		take("key", "NATS_TLS_KEY", &c.NATSTLSKey, x.file)
	}
	take("ca", "NATS_TLS_CA", &c.NATSTLSCA, x.file)
	take("inbox_prefix", "NATS_INBOX_PREFIX", &c.NATSInbox, x.text)
	take("jetstream_domain", "NATS_JS_DOMAIN", &c.NATSDomain, x.text)
	take("jetstream_api_prefix", "NATS_JS_API_PREFIX", &c.NATSPrefix, x.text)
	if first := x.values["tls_first"]; first != nil && !set["NATS_TLS_FIRST"] {
		if json.Unmarshal(first, &c.NATSTLSFirst) != nil {
			x.fault("tls_first", "is not true or false")
		}
		c.origins["NATS_TLS_FIRST"] = from("tls_first")
	}
}

// checkUser refuses a context with several users.
func (x *natsContext) checkUser() {
	var found []string
	for _, field := range []string{"user", "token", "creds", "nkey"} {
		if x.values[field] != nil {
			found = append(found, field)
		}
	}
	if len(found) > 1 {
		x.fault(strings.Join(found, " and "), "keep one of them, that of the user to log in as")
	}
}

// useUser puts the context's user or token into the URLs that have none.
func (c *Config) useUser(x *natsContext, from func(field string) string) {
	field, login := "user", url.UserPassword(x.text("user"), x.text("password"))
	if token := x.text("token"); token != "" {
		field, login = "token", url.User(token)
	}
	if login.Username() == "" {
		return
	}
	c.contextUser = strings.ReplaceAll(login.String(), ",", "%2C") // a comma would end the entry
	c.NATSURL = withNATSUser(c.NATSURL, c.contextUser)
	switch prior := c.origins["NATS_URL"]; prior {
	case "":
		c.origins["NATS_URL"] = from(field)
	case from("url"):
		c.origins["NATS_URL"] = from("url and " + field)
	default: // a file
		c.origins["NATS_URL"] = prior + " and " + from(field)
	}
}

// withNATSUser puts a user, as it is written in a URL, into the entries of a NATS_URL that have none; empty: it changes
// nothing.
func withNATSUser(list, user string) string {
	if user == "" {
		return list
	}
	servers := natsServers(list)
	for i, server := range servers {
		if u, ok := parseNATSServer(server); ok && u.User == nil {
			scheme, rest, _ := strings.Cut(withScheme(server), "://")
			servers[i] = scheme + "://" + user + "@" + rest
		}
	}
	return strings.Join(servers, ",")
}
