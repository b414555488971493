// Package config reads the program's configuration from the environment and generates its reference. It reports every
// fault at once, and redacts secrets in all text that it returns for people.
package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// Config is the whole configuration, from the environment. Every field has a default that works.
//
// Each variable is one line: its name and default, the constraints on its value (see [constraint]; those that depend on
// other variables are in check), and in the tag doc its meaning. The reference, docs/configuration.md, and the help of
// consumer config are generated from these lines; the tag group begins a section.
type Config struct {
	NATSURL      string    `env:"NATS_URL" group:"NATS" doc:"Servers, separated by commas: nats://[user:password@]host[:port]. Empty: the embedded server."`
	NATSURLFile  ValueFile `env:"NATS_URL_FILE" is:"file" doc:"File with the value of NATS_URL. It is read again for each new connection. Instead of NATS_URL."`
	NATSContext  string    `env:"NATS_CONTEXT" doc:"A context of the nats CLI: its name, or the path of its file. It gives the values of the NATS variables that are not set. Empty: no context, whichever the CLI has selected."`
	NATSCreds    string    `env:"NATS_CREDS" is:"file" doc:"Credentials (JWT and seed) of the NATS user."`
	NATSNkey     string    `env:"NATS_NKEY" is:"file" doc:"Seed of the NATS user's nkey (SU…), for a user that the server knows by its public key. Instead of NATS_CREDS."`
	NATSTLSCA    string    `env:"NATS_TLS_CA" is:"file" doc:"CA certificates (PEM) that must have signed the server's certificate. Empty: the system's."`
	NATSTLSCert  string    `env:"NATS_TLS_CERT" is:"file" doc:"Client certificate (PEM); requires NATS_TLS_KEY."`
	NATSTLSKey   string    `env:"NATS_TLS_KEY" is:"file" doc:"Private key of NATS_TLS_CERT (PEM)."`
	NATSTLSFirst bool      `env:"NATS_TLS_FIRST, default=false" doc:"Begin with the TLS handshake, for servers with handshake_first: true."`
	NATSDomain   string    `env:"NATS_JS_DOMAIN" doc:"JetStream domain of the streams, such as that of a leaf node. Empty: the domain of the server of the connection."`
	NATSPrefix   string    `env:"NATS_JS_API_PREFIX" doc:"Prefix of the JetStream API instead of $JS.API, for JetStream that is imported from another account. Not together with NATS_JS_DOMAIN."`
	NATSInbox    string    `env:"NATS_INBOX_PREFIX" doc:"Prefix of the subjects that receive replies; set it where the NATS user may not subscribe to all of _INBOX. Empty: _INBOX, the client's default."`
	EmbeddedAddr string    `env:"NATS_EMBEDDED_ADDR, default=127.0.0.1:4222" is:"host:port" doc:"Address that the embedded server listens on and that commands connect to."`
	EmbeddedDir  string    `env:"NATS_EMBEDDED_DIR, default=storage/nats" is:"directory" doc:"Directory for the data of the embedded server; every write is synced."`
	Replicas     int       `env:"NATS_REPLICAS, default=1" min:"1" max:"5" doc:"Replicas of streams that the service creates, and the minimum for existing streams. The embedded server has one."`
	Manage       bool      `env:"NATS_MANAGE_STREAMS, default=true" doc:"Create missing streams and the consumer, and correct the consumer. false: only check them."`

	DatabaseURL     string    `env:"DATABASE_URL, default=sqlite:storage" group:"Database" doc:"postgres://user:password@host[,host…]/database, or sqlite:DIRECTORY."`
	DatabaseURLFile ValueFile `env:"DATABASE_URL_FILE" is:"file" doc:"File with the value of DATABASE_URL. It is read again for each new connection. Instead of DATABASE_URL."`
	RegistrySchema  string    `env:"REGISTRY_SCHEMA, default=docex_system" doc:"PostgreSQL: the schema of registry and ledger. A lower-case name, not public, not pg_…."`
	SchemaTemplate  string    `env:"SCHEMA_TEMPLATE, default=tenant_{tenant_id}" doc:"PostgreSQL: a tenant's schema. It must contain {tenant_id}; names over 63 bytes are truncated and end in a hash."`
	PathTemplate    string    `env:"DATABASE_PATH_TEMPLATE, default=tenant_{tenant_id}/docex.db" doc:"SQLite: a tenant's file, below the directory of DATABASE_URL. It must contain {tenant_id}."`
	Prepared        int       `env:"PREPARED_BOUNDARIES, default=8" min:"0" max:"1000" doc:"PostgreSQL: finished schemas to keep ready, shared by all replicas. 0: each is created when it is requested. Without a value they are not kept where SCHEMA_TEMPLATE contains a colon, or while a standby is connected. SQLite: 0, and another value is refused: a file is created in milliseconds."`

	EventSource  string        `env:"EVENT_SOURCE, default=/tenant-provisioner" group:"Work" doc:"CloudEvents source of outcomes: a URI reference of at most 255 characters."`
	Concurrency  int           `env:"CONCURRENCY, default=4" min:"1" max:"1000" doc:"Tenants that a replica builds at the same time, each on its own database connection."`
	MaxAttempts  int           `env:"MAX_ATTEMPTS, default=8" min:"1" max:"1000" doc:"Attempts of a request that fails with transient errors. An outage does not count."`
	BackoffMin   time.Duration `env:"BACKOFF_MIN, default=1s" above:"0s" doc:"Delay before the second attempt; it doubles with each further attempt."`
	BackoffMax   time.Duration `env:"BACKOFF_MAX, default=5m" above:"0s" doc:"Longest delay between attempts; not below BACKOFF_MIN."`
	AckWait      time.Duration `env:"ACK_WAIT, default=30s" min:"100ms" doc:"Time without an acknowledgement or a progress signal after which NATS redelivers a request. Long work sends progress signals."`
	Retention    time.Duration `env:"LEDGER_RETENTION, default=0s" min:"0s" doc:"Time after its decision for which the ledger keeps a request. It is at least the max_age of TENANT_REQUESTS, which can deliver a request again. 0s: for ever."`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT, default=25s" above:"0s" doc:"Time that running work may take after SIGTERM. The supervisor must wait at least 15s longer before it kills the process."`

	PlansFile string `env:"PLANS" is:"YAML file" group:"Tenants" doc:"Plans that requests may name, with their limits: docs/plans.md has the format. The file is read at start. All replicas need the same one. Empty: tenants have no plan."`

	InitScripts       string        `env:"INIT_SCRIPTS" is:"directory" doc:"Directory with initialisation scripts, which run in every new tenant: postgres/NNN_name.sql and sqlite/NNN_name.sql. docs/init-scripts.md has the rules. They are read and rehearsed at start. All replicas need the same ones. Empty: off."`
	InitScriptTimeout time.Duration `env:"INIT_SCRIPT_TIMEOUT, default=30s" above:"0s" doc:"Time that all initialisation scripts of one request may take."`

	BaseDefinition string `env:"BASE_DEFINITION, default=docex" oneof:"docex none" doc:"What a tenant has before the scripts run: docex, the tables and indexes of DocEX, or none: what INIT_SCRIPTS makes is the tenant. A registry keeps the one that it was created with. All commands need the service's value."`

	SeedData string `env:"SEED_DATA" is:"directory" doc:"Directory with the first rows of every new tenant: TABLE.jsonl or TABLE.csv. docs/seed-data.md has the format. They are read and rehearsed at start. All replicas need the same ones. Empty: off."`

	HTTPAddr  string     `env:"HTTP_ADDR, default=127.0.0.1:8080" is:"host:port" optional:"true" group:"Operation" doc:"Address of the page at /, which shows tenant names, and of /livez, /readyz and /metrics. Empty: off. In a container 0.0.0.0:8080, because probes come from outside."`
	LogLevel  slog.Level `env:"LOG_LEVEL, default=info" doc:"Lowest level that is logged, to stderr."`
	LogFormat string     `env:"LOG_FORMAT" oneof:"text json" doc:"Empty: text on a terminal, otherwise json."`

	origins     map[string]string // by variable: where its value comes from, if not from the variable or its default
	contextUser string            // that NATSContext adds to servers without one, as in a URL; empty: none

	given  map[string]bool // the variables that have a value of their own
	traces []Setting       // OpenTelemetry's variables that are set

	plans   *pipeline.Plans   // of PlansFile
	scripts *pipeline.Scripts // of InitScripts
	seeds   *pipeline.Seeds   // of SeedData
}

// Load reads the configuration. It reports every fault at once, each with the variable's name, as an [Error]. Blanks
// and line breaks around a value do not count. A variable that is set and empty has its default, except where empty has
// a meaning.
func Load(ctx context.Context, env envconfig.Lookuper) (Config, error) {
	set := map[string]bool{} // the variables that have a value, of their own or in a file
	c := Config{origins: map[string]string{}, traces: traceSettings(env)}
	var faults []error
	// One field at a time: the library stops at the first fault.
	value := reflect.ValueOf(&c).Elem()
	for _, v := range variables() {
		read := func(env envconfig.Lookuper) error {
			one := reflect.New(reflect.StructOf([]reflect.StructField{value.Type().FieldByIndex(v.index)}))
			err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: one.Interface(), Lookuper: env})
			value.FieldByIndex(v.index).Set(one.Elem().Field(0))
			return err
		}
		given, err := v.lookup(env)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", v.name, err))
		}
		set[v.name] = given != nil
		if err := read(envconfig.MapLookuper(given)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %q is not %s", v.name, given[v.name], v.form()))
			if err := read(envconfig.MapLookuper(nil)); err != nil { // its default, so that check can judge the others
				return c, err
			}
		}
	}
	c.given = maps.Clone(set)
	faults = append(faults, c.readValueFiles(set), c.readContext(env, set))
	c.adaptPrepared()
	return c, NewError(errors.Join(append(faults, c.check(), checkTraces(env))...))
}

// adaptPrepared sets PREPARED_BOUNDARIES to 0 where it has no value and boundaries cannot be prepared.
func (c *Config) adaptPrepared() {
	const name = "PREPARED_BOUNDARIES"
	switch {
	case c.given[name]:
	case !c.OnPostgres():
		c.Prepared = 0
	case strings.Contains(c.SchemaTemplate, ":"):
		c.Prepared, c.origins[name] = 0, "0: SCHEMA_TEMPLATE contains a colon"
	}
}

// check returns the faults of the values. Each error names the values that are allowed.
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
		require(err == nil, "%s: %w", c.named(v.name), err)
	}
	faults = append(faults, c.checkNATS(), c.checkNATSFiles(), c.readPlans(), c.readScripts(), c.readSeeds())
	require(c.NATSURL != "" || c.Replicas == 1,
		"NATS_REPLICAS: the embedded server has one replica; set NATS_URL for more")

	source, err := url.Parse(c.EventSource)
	require(err == nil && c.EventSource != "" && len(c.EventSource) <= 255 && source.String() == c.EventSource,
		"EVENT_SOURCE: %q is not a URI reference such as /tenant-provisioner", c.EventSource)
	require(c.BackoffMax >= c.BackoffMin, "BACKOFF_MAX: %s must not be below BACKOFF_MIN, which is %s", c.BackoffMax,
		c.BackoffMin)

	return errors.Join(append(faults, c.withOrigin("DATABASE_URL", c.checkDatabase()))...)
}

// checkDatabase returns the faults of DATABASE_URL and of the variables that depend on the engine.
func (c *Config) checkDatabase() error {
	root, isSQLite := strings.CutPrefix(c.DatabaseURL, "sqlite:")
	neither := errors.New("DATABASE_URL: neither postgres://… nor sqlite:DIRECTORY")
	switch {
	case isSQLite && strings.HasPrefix(root, "//"):
		return errors.New("DATABASE_URL: write sqlite:DIRECTORY, such as sqlite:storage or sqlite:/var/lib/tenants")
	case isSQLite && c.Prepared != 0:
		return errors.Join(errors.New("PREPARED_BOUNDARIES: SQLite does not prepare files, because it creates one in "+
			"milliseconds; set it to 0, or DATABASE_URL to postgres://…"), c.SQLite().Check())
	case isSQLite:
		return c.SQLite().Check()
	case c.OnPostgres():
		return c.Postgres().Check()
	case strings.HasPrefix(c.DatabaseURL, "jdbc:"):
		return errors.Join(errors.New("DATABASE_URL: a URL of JDBC; write postgres://user:password@host:port/database"),
			c.Postgres().CheckNames())
	case c.DatabaseURL == "": // its file could not be read
		neither = nil
	}
	return errors.Join(neither, c.Postgres().CheckNames(), c.SQLite().CheckNames())
}

// OnPostgres reports whether tenants are in PostgreSQL. Otherwise they are in SQLite.
func (c *Config) OnPostgres() bool { return postgres.IsURL(c.DatabaseURL) }

// Postgres returns the configuration of the PostgreSQL engine.
func (c *Config) Postgres() postgres.Config {
	return postgres.Config{
		URL: c.DatabaseURL, CurrentURL: c.currentDatabaseURL(), Registry: c.RegistrySchema, SchemaTemplate: c.SchemaTemplate,
		Connections: max(c.Concurrency, 1), Prepared: min(max(c.Prepared, 0), postgres.MaxPrepared),
		PreparedByDefault: !c.given["PREPARED_BOUNDARIES"],
		CreatedBy:         buildinfo.Name, Scripts: c.scripts, Seeds: c.seeds, Base: c.BaseDefinition,
	}
}

// SQLite returns the configuration of the SQLite engine.
func (c *Config) SQLite() sqlite.Config {
	return sqlite.Config{
		Root: strings.TrimPrefix(c.DatabaseURL, "sqlite:"), PathTemplate: c.PathTemplate,
		Connections: max(c.Concurrency, 1), CreatedBy: buildinfo.Name, Now: time.Now,
		Scripts: c.scripts, Seeds: c.seeds, Base: c.BaseDefinition,
	}
}

// CertificateFiles are the files of certificates that are configured: for NATS, for PostgreSQL and for traces.
func (c *Config) CertificateFiles() []postgres.CertificateFile {
	files := []postgres.CertificateFile{
		{Name: c.named("NATS_TLS_CERT"), Path: c.NATSTLSCert},
		{Name: c.named("NATS_TLS_CA"), Path: c.NATSTLSCA, Authority: true},
	}
	for _, s := range c.traces {
		if strings.HasSuffix(s.Name, "CERTIFICATE") {
			authority := !strings.HasSuffix(s.Name, "CLIENT_CERTIFICATE")
			files = append(files, postgres.CertificateFile{Name: s.Name, Path: strings.TrimSpace(s.Value), Authority: authority})
		}
	}
	if c.OnPostgres() {
		files = append(files, c.Postgres().CertificateFiles()...)
	}
	return slices.DeleteFunc(files, func(f postgres.CertificateFile) bool { return f.Path == "" })
}

// Setting is the value of a variable.
type Setting struct {
	Name, Value string
	From        string // where the value comes from, if not from the variable or its default
	Given       bool   // the variable is set; else the value is its default or from elsewhere
	Secret      bool   // the value contains a secret, which is redacted unless secrets are shown
}

// Settings lists the effective values in the order of the fields, then the variables of OpenTelemetry that are set and,
// where tenants are in PostgreSQL, those of libpq.
func (c *Config) Settings(showSecrets bool) []Setting {
	value := reflect.ValueOf(c).Elem()
	var list []Setting
	for _, v := range variables() {
		list = append(list, Setting{
			Name: v.name, Value: fmt.Sprint(value.FieldByIndex(v.index).Interface()), From: c.origins[v.name],
			Given: c.given[v.name],
		})
	}
	list = append(list, c.traces...)
	for i, s := range list {
		list[i] = s.redact(Redact(s.Name, s.Value), showSecrets)
	}
	if !c.OnPostgres() {
		return list
	}
	for _, v := range postgres.Variables {
		if text := os.Getenv(v.Name); text != "" {
			s := Setting{Name: v.Name, Value: text, Given: true}
			list = append(list, s.redact(redactParameter(v.Parameter, text), showSecrets))
		}
	}
	return list
}

func (s Setting) redact(text string, showSecrets bool) Setting {
	if s.Secret = s.Value != text; !showSecrets {
		s.Value = text
	}
	return s
}
