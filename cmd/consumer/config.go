package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// Config is the whole configuration, from the environment. Every field has a default that works.
type Config struct {
	NATSURL      string `env:"NATS_URL"` // empty: the embedded server
	NATSCreds    string `env:"NATS_CREDS"`
	NATSTLSCA    string `env:"NATS_TLS_CA"`
	NATSTLSCert  string `env:"NATS_TLS_CERT"`
	NATSTLSKey   string `env:"NATS_TLS_KEY"`
	EmbeddedAddr string `env:"NATS_EMBEDDED_ADDR, default=127.0.0.1:4222"`
	EmbeddedDir  string `env:"NATS_EMBEDDED_DIR, default=storage/nats"`
	Replicas     int    `env:"NATS_REPLICAS, default=1"`
	Manage       bool   `env:"NATS_MANAGE_STREAMS, default=true"`

	DatabaseURL    string `env:"DATABASE_URL, default=sqlite:storage"`
	RegistrySchema string `env:"REGISTRY_SCHEMA, default=docex_system"`
	SchemaTemplate string `env:"SCHEMA_TEMPLATE, default=tenant_{tenant_id}"`
	PathTemplate   string `env:"DATABASE_PATH_TEMPLATE, default=tenant_{tenant_id}/docex.db"`

	EventSource  string        `env:"EVENT_SOURCE, default=/tenant-provisioner"`
	Concurrency  int           `env:"CONCURRENCY, default=4"`
	MaxAttempts  int           `env:"MAX_ATTEMPTS, default=8"`
	BackoffMin   time.Duration `env:"BACKOFF_MIN, default=1s"`
	BackoffMax   time.Duration `env:"BACKOFF_MAX, default=5m"`
	AckWait      time.Duration `env:"ACK_WAIT, default=30s"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT, default=25s"`
	Prepared     int           `env:"PREPARED_BOUNDARIES, default=0"`

	HTTPAddr  string     `env:"HTTP_ADDR, default=127.0.0.1:8080"` // empty: off
	LogLevel  slog.Level `env:"LOG_LEVEL, default=info"`
	LogFormat string     `env:"LOG_FORMAT"` // empty: text on a terminal, else json
}

// LoadConfig reads the configuration and reports every fault at once, each by the variable's name.
func LoadConfig(ctx context.Context, env envconfig.Lookuper) (Config, error) {
	var c Config
	var faults []error
	// One field at a time: the library stops at the first fault it meets.
	value := reflect.ValueOf(&c).Elem()
	for _, field := range reflect.VisibleFields(value.Type()) {
		read := func(env envconfig.Lookuper) error {
			one := reflect.New(reflect.StructOf([]reflect.StructField{field}))
			err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: one.Interface(), Lookuper: env})
			value.FieldByIndex(field.Index).Set(one.Elem().Field(0))
			return err
		}
		if err := read(env); err != nil {
			given, _ := env.Lookup(variable(field))
			faults = append(faults, fmt.Errorf("%s: %q is not %s", variable(field), given, kind(field.Type)))
			if err := read(envconfig.MapLookuper(nil)); err != nil { // its default, so that the others can be judged
				return c, err
			}
		}
	}
	return c, errors.Join(append(faults, c.check())...)
}

// kind says what a variable of that type must look like.
func kind(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 30s or 5m"
	case reflect.TypeFor[slog.Level]():
		return "debug, info, warn or error"
	case reflect.TypeFor[bool]():
		return "true or false"
	}
	return "a whole number"
}

// variable is the name of the environment variable behind a field.
func variable(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	return name
}

// check judges values, each with what would be right.
func (c *Config) check() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(c.Replicas >= 1 && c.Replicas <= 5, "NATS_REPLICAS: %d is not 1 to 5", c.Replicas)
	require((c.NATSTLSCert == "") == (c.NATSTLSKey == ""), "NATS_TLS_CERT and NATS_TLS_KEY: set both or neither")
	for name, path := range map[string]string{
		"NATS_CREDS": c.NATSCreds, "NATS_TLS_CA": c.NATSTLSCA, "NATS_TLS_CERT": c.NATSTLSCert, "NATS_TLS_KEY": c.NATSTLSKey,
	} {
		if path != "" {
			_, err := os.Stat(path)
			require(err == nil, "%s: %v", name, err)
		}
	}
	_, _, err := net.SplitHostPort(c.EmbeddedAddr)
	require(err == nil, "NATS_EMBEDDED_ADDR: %q is not host:port", c.EmbeddedAddr)
	require(c.EmbeddedDir != "", "NATS_EMBEDDED_DIR: name a directory")
	for i, server := range strings.Split(c.NATSURL, ",") {
		require(c.NATSURL == "" || isNATSServer(strings.TrimSpace(server)), "NATS_URL: entry %d is not "+
			"nats://[user:password@]host[:port]; in a password write / as %%2F and , as %%2C", i+1)
	}
	require(c.NATSURL != "" || c.Replicas == 1,
		"NATS_REPLICAS: the embedded server has one replica; set NATS_URL for more")

	source, err := url.Parse(c.EventSource)
	require(err == nil && c.EventSource != "" && len(c.EventSource) <= 255 && source.String() == c.EventSource,
		"EVENT_SOURCE: %q is not a URI reference such as /tenant-provisioner", c.EventSource)
	require(c.Concurrency >= 1 && c.Concurrency <= 1000, "CONCURRENCY: %d is not 1 to 1000", c.Concurrency)
	require(c.MaxAttempts >= 1 && c.MaxAttempts <= 1000, "MAX_ATTEMPTS: %d is not 1 to 1000", c.MaxAttempts)
	require(c.BackoffMin > 0, "BACKOFF_MIN: must be above zero")
	require(c.BackoffMax >= c.BackoffMin, "BACKOFF_MAX: must not be below BACKOFF_MIN")
	require(c.AckWait >= 100*time.Millisecond, "ACK_WAIT: must be at least 100ms")
	require(c.DrainTimeout > 0, "DRAIN_TIMEOUT: must be above zero")
	if c.HTTPAddr != "" {
		_, _, err := net.SplitHostPort(c.HTTPAddr)
		require(err == nil, "HTTP_ADDR: %q is not host:port", c.HTTPAddr)
	}
	require(slices.Contains([]string{"", "text", "json"}, c.LogFormat), "LOG_FORMAT: %q is not text or json", c.LogFormat)

	root, isSQLite := strings.CutPrefix(c.DatabaseURL, "sqlite:")
	switch {
	case isSQLite && strings.HasPrefix(root, "//"):
		require(false, "DATABASE_URL: write sqlite:DIRECTORY, such as sqlite:storage or sqlite:/var/lib/tenants")
	case isSQLite:
		require(c.Prepared == 0, "PREPARED_BOUNDARIES: SQLite has nothing to prepare, a file is made in milliseconds; "+
			"set it to 0, or DATABASE_URL to postgres://…")
		faults = append(faults, c.sqlite().Check())
	case c.onPostgres():
		faults = append(faults, c.postgres().Check())
	default:
		require(false, "DATABASE_URL: neither postgres://… nor sqlite:DIRECTORY")
	}
	return errors.Join(faults...)
}

// isNATSServer judges one URL before the client does, whose errors repeat it with its password.
func isNATSServer(server string) bool {
	if !strings.Contains(server, "://") {
		server = "nats://" + server // as the client does
	}
	u, err := url.Parse(server)
	return err == nil && u.Hostname() != "" && strings.Trim(u.Path, "/") == ""
}

func (c *Config) onPostgres() bool {
	return strings.HasPrefix(c.DatabaseURL, "postgres://") || strings.HasPrefix(c.DatabaseURL, "postgresql://")
}

func (c *Config) postgres() postgres.Config {
	return postgres.Config{
		URL: c.DatabaseURL, Registry: c.RegistrySchema, SchemaTemplate: c.SchemaTemplate,
		Connections: max(c.Concurrency, 1), Prepared: c.Prepared, CreatedBy: program,
	}
}

func (c *Config) sqlite() sqlite.Config {
	return sqlite.Config{
		Root: strings.TrimPrefix(c.DatabaseURL, "sqlite:"), PathTemplate: c.PathTemplate,
		Connections: max(c.Concurrency, 1), CreatedBy: program, Now: time.Now,
	}
}

var (
	natsUser     = regexp.MustCompile(`(^|,)(\s*(?:\w+://)?)[^,]*@`)    // of each URL of a list: user, password or token
	postgresPass = regexp.MustCompile(`(//[^:@/]*:).*@`)                // greedy: a password may hold an @
	passwordArg  = regexp.MustCompile(`(?i)((?:ssl)?password=)[^&\s]*`) // as a parameter
)

// redact removes secrets from a value or message of a variable.
func redact(name, text string) string {
	switch name {
	case "NATS_URL":
		return natsUser.ReplaceAllString(text, "${1}${2}xxxxx@")
	case "DATABASE_URL":
		return passwordArg.ReplaceAllString(postgresPass.ReplaceAllString(text, "${1}xxxxx@"), "${1}xxxxx")
	}
	return text
}

// setting is one effective value, secrets redacted.
type setting struct{ Name, Value string }

// settings lists the effective values in the order of the fields.
func (c *Config) settings() []setting {
	value := reflect.ValueOf(c).Elem()
	var list []setting
	for _, field := range reflect.VisibleFields(value.Type()) {
		name := variable(field)
		list = append(list, setting{name, redact(name, fmt.Sprint(value.FieldByIndex(field.Index).Interface()))})
	}
	return list
}
