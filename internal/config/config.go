// Package config reads the program's configuration from the environment, with every fault at once, and is the source of
// its reference. Secrets are redacted in all that it returns for people.
package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// Config is the whole configuration, from the environment. Every field has a default that works.
//
// A variable is one line here: its name and default, the constraints on its value (see [constraint]; those that depend
// on other variables are in check), and in the tag doc its meaning. The reference, docs/configuration.md, and the help
// of consumer config are made of these lines; the tag group begins a section of them.
type Config struct {
	NATSURL      string `env:"NATS_URL" group:"NATS" doc:"Servers, separated by commas: nats://[user:password@]host[:port]. Empty: the embedded server."`
	NATSCreds    string `env:"NATS_CREDS" is:"file" doc:"Credentials (JWT and seed) of the NATS user."`
	NATSTLSCA    string `env:"NATS_TLS_CA" is:"file" doc:"Certificates, in PEM, that the server's must be signed by; the system's if empty."`
	NATSTLSCert  string `env:"NATS_TLS_CERT" is:"file" doc:"Own certificate for the server, in PEM; with NATS_TLS_KEY."`
	NATSTLSKey   string `env:"NATS_TLS_KEY" is:"file" doc:"Key of NATS_TLS_CERT, in PEM."`
	NATSInbox    string `env:"NATS_INBOX_PREFIX" doc:"Beginning of the subjects that answers come on, where the NATS user may not have all of _INBOX. Empty: the client's, _INBOX."`
	EmbeddedAddr string `env:"NATS_EMBEDDED_ADDR, default=127.0.0.1:4222" is:"host:port" doc:"Where the embedded server listens, and where commands look for it."`
	EmbeddedDir  string `env:"NATS_EMBEDDED_DIR, default=storage/nats" is:"directory" doc:"What the embedded server stores; every write is synced."`
	Replicas     int    `env:"NATS_REPLICAS, default=1" min:"1" max:"5" doc:"Replicas of streams that are created, and the least of those that are there. The embedded server has one."`
	Manage       bool   `env:"NATS_MANAGE_STREAMS, default=true" doc:"Create streams and the consumer where they are missing. false: only check."`

	DatabaseURL    string `env:"DATABASE_URL, default=sqlite:storage" group:"Database" doc:"postgres://user:password@host[,host…]/database, or sqlite:DIRECTORY."`
	RegistrySchema string `env:"REGISTRY_SCHEMA, default=docex_system" doc:"PostgreSQL: the schema of registry and ledger. A lower-case name, not public, not pg_…."`
	SchemaTemplate string `env:"SCHEMA_TEMPLATE, default=tenant_{tenant_id}" doc:"PostgreSQL: a tenant's schema. It must hold {tenant_id}; names over 63 bytes are cut and end in a hash."`
	PathTemplate   string `env:"DATABASE_PATH_TEMPLATE, default=tenant_{tenant_id}/docex.db" doc:"SQLite: a tenant's file, below the directory of DATABASE_URL. It must hold {tenant_id}."`
	Prepared       int    `env:"PREPARED_BOUNDARIES, default=0" min:"0" max:"1000" doc:"PostgreSQL: finished schemas kept ready, which all replicas share. SQLite: 0, a file is made in milliseconds."`

	EventSource  string        `env:"EVENT_SOURCE, default=/tenant-provisioner" group:"Work" doc:"CloudEvents source of outcomes: a URI reference of at most 255 characters."`
	Concurrency  int           `env:"CONCURRENCY, default=4" min:"1" max:"1000" doc:"Tenants at once, and database connections for them."`
	MaxAttempts  int           `env:"MAX_ATTEMPTS, default=8" min:"1" max:"1000" doc:"Attempts of a request that meets transient errors. An outage costs none."`
	BackoffMin   time.Duration `env:"BACKOFF_MIN, default=1s" above:"0s" doc:"Delay before the second attempt; it doubles with each."`
	BackoffMax   time.Duration `env:"BACKOFF_MAX, default=5m" above:"0s" doc:"Longest delay between attempts; not below BACKOFF_MIN."`
	AckWait      time.Duration `env:"ACK_WAIT, default=30s" min:"100ms" doc:"After how long without a sign of life a request is delivered again. Long work gives signs."`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT, default=25s" above:"0s" doc:"How long running work may take after SIGTERM. The supervisor must wait longer."`

	HTTPAddr  string     `env:"HTTP_ADDR, default=127.0.0.1:8080" is:"host:port" optional:"true" group:"Operation" doc:"The page at / with names of tenants, /livez, /readyz, /metrics; empty: off. In a container 0.0.0.0:8080, since probes come from outside."`
	LogLevel  slog.Level `env:"LOG_LEVEL, default=info" doc:"Least level that is logged, to stderr."`
	LogFormat string     `env:"LOG_FORMAT" oneof:"text json" doc:"Empty: text on a terminal, else json."`
}

// Load reads the configuration. It reports every fault at once, each by the variable's name, as a [configError].
func Load(ctx context.Context, env envconfig.Lookuper) (Config, error) {
	var c Config
	var faults []error
	// One field at a time: the library stops at the first fault it meets.
	value := reflect.ValueOf(&c).Elem()
	for _, v := range variables() {
		read := func(env envconfig.Lookuper) error {
			one := reflect.New(reflect.StructOf([]reflect.StructField{value.Type().FieldByIndex(v.index)}))
			err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: one.Interface(), Lookuper: env})
			value.FieldByIndex(v.index).Set(one.Elem().Field(0))
			return err
		}
		if err := read(env); err != nil {
			given, _ := env.Lookup(v.name)
			faults = append(faults, fmt.Errorf("%s: %q is not %s", v.name, given, v.kind))
			if err := read(envconfig.MapLookuper(nil)); err != nil { // its default, so that the others can be judged
				return c, err
			}
		}
	}
	return c, NewError(errors.Join(append(faults, c.check(), checkTraces(env))...))
}

// Check judges values, each with what would be right.
func (c *Config) check() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	value := reflect.ValueOf(c).Elem()
	for _, v := range variables() {
		err := v.constraint.check(value.FieldByIndex(v.index))
		require(err == nil, "%s: %w", v.name, err)
	}
	faults = append(faults, c.checkNATSFiles())
	require(c.NATSInbox == "" || inboxPrefix.MatchString(c.NATSInbox), "NATS_INBOX_PREFIX: %q is not the beginning of "+
		"a subject such as _INBOX_consumer: no wildcard, no space, no dot at the end", c.NATSInbox)
	for i, server := range strings.Split(c.NATSURL, ",") {
		require(c.NATSURL == "" || isNATSServer(strings.TrimSpace(server)), "NATS_URL: entry %d is not "+
			"nats://[user:password@]host[:port], or tls://, ws:// or wss://; in a password write / as %%2F and , as %%2C", i+1)
	}
	require(c.NATSURL != "" || c.Replicas == 1,
		"NATS_REPLICAS: the embedded server has one replica; set NATS_URL for more")

	source, err := url.Parse(c.EventSource)
	require(err == nil && c.EventSource != "" && len(c.EventSource) <= 255 && source.String() == c.EventSource,
		"EVENT_SOURCE: %q is not a URI reference such as /tenant-provisioner", c.EventSource)
	require(c.BackoffMax >= c.BackoffMin, "BACKOFF_MAX: must not be below BACKOFF_MIN")

	root, isSQLite := strings.CutPrefix(c.DatabaseURL, "sqlite:")
	switch {
	case isSQLite && strings.HasPrefix(root, "//"):
		require(false, "DATABASE_URL: write sqlite:DIRECTORY, such as sqlite:storage or sqlite:/var/lib/tenants")
	case isSQLite:
		require(c.Prepared == 0, "PREPARED_BOUNDARIES: SQLite has nothing to prepare, a file is made in milliseconds; "+
			"set it to 0, or DATABASE_URL to postgres://…")
		faults = append(faults, c.SQLite().Check())
	case c.OnPostgres():
		faults = append(faults, c.Postgres().Check())
	default:
		require(false, "DATABASE_URL: neither postgres://… nor sqlite:DIRECTORY")
	}
	return errors.Join(faults...)
}

// inboxPrefix is what the NATS client accepts.
var inboxPrefix = regexp.MustCompile(`^[^.*>\s]+(\.[^.*>\s]+)*$`)

// natsSchemes are those that the client knows; it waits for ever for a server of another.
var natsSchemes = map[string]bool{"nats": true, "tls": true, "ws": true, "wss": true}

// isNATSServer judges one URL before the client does, whose errors repeat it with its password.
func isNATSServer(server string) bool {
	if !strings.Contains(server, "://") {
		server = "nats://" + server // as the client does
	}
	u, err := url.Parse(server)
	return err == nil && natsSchemes[u.Scheme] && u.Hostname() != "" && strings.Trim(u.Path, "/") == ""
}

// OnPostgres reports whether tenants are in PostgreSQL. Otherwise they are in SQLite.
func (c *Config) OnPostgres() bool {
	return strings.HasPrefix(c.DatabaseURL, "postgres://") || strings.HasPrefix(c.DatabaseURL, "postgresql://")
}

// Postgres is the configuration of the engine PostgreSQL.
func (c *Config) Postgres() postgres.Config {
	return postgres.Config{
		URL: c.DatabaseURL, Registry: c.RegistrySchema, SchemaTemplate: c.SchemaTemplate,
		Connections: max(c.Concurrency, 1), Prepared: min(max(c.Prepared, 0), postgres.MaxPrepared),
		CreatedBy: buildinfo.Name,
	}
}

// SQLite is the configuration of the engine SQLite.
func (c *Config) SQLite() sqlite.Config {
	return sqlite.Config{
		Root: strings.TrimPrefix(c.DatabaseURL, "sqlite:"), PathTemplate: c.PathTemplate,
		Connections: max(c.Concurrency, 1), CreatedBy: buildinfo.Name, Now: time.Now,
	}
}

// Setting is the effective value of a variable, secrets redacted.
type Setting struct{ Name, Value string }

// Settings lists the effective values in the order of the fields.
func (c *Config) Settings() []Setting {
	value := reflect.ValueOf(c).Elem()
	var list []Setting
	for _, v := range variables() {
		list = append(list, Setting{v.name, Redact(v.name, fmt.Sprint(value.FieldByIndex(v.index).Interface()))})
	}
	return list
}
