package postgres

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql"
)

// check returns what is wrong with the URL.
func check(url string) error {
	return Config{URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1}.Check()
}

// sample is a value that a parameter of the row allows.
func (r *parameterRow) sample() string {
	switch r.values {
	case "":
		return "1"
	case "integer":
		return "30"
	case "boolean":
		return "true"
	}
	return strings.Fields(r.values)[0]
}

// Each parameter of the table is accepted, or refused by its name with what to do, and no name is in two rows.
func TestEveryParameter(t *testing.T) {
	t.Parallel()
	const base = "postgres://me@h/x"
	count := 0
	for i := range parameterTable {
		row := &parameterTable[i]
		if (row.use == unused || row.use == rejected || row.values != "") && row.why == "" {
			t.Errorf("%s: no reason is given", row.names)
		}
		for name := range strings.FieldsSeq(row.names) {
			count++
			if parameters()[name] != row {
				t.Errorf("%s is in two rows", name)
			}
			value := row.sample()
			if name == "hostaddr" {
				value = "127.0.0.1"
			} else if row.use == forService {
				value = "TLSv1.3"
			}
			err := check(withParameters(t, base, map[string]string{name: value}))
			switch {
			case row.use == rejected:
				if err == nil || !strings.Contains(err.Error(), "DATABASE_URL: parameter "+name+": "+row.why) {
					t.Errorf("%s: %v", name, err)
				}
			case row.use != forDriver && err != nil: // the driver's own values are tested below
				t.Errorf("%s=%s: %v", name, value, err)
			}
			if row.values != "" {
				err := check(withParameters(t, base, map[string]string{name: "perhaps"}))
				if err == nil || !strings.Contains(err.Error(), "DATABASE_URL: parameter "+name) || !strings.Contains(err.Error(), row.why) {
					t.Errorf("%s=perhaps: %v", name, err)
				}
			}
		}
	}
	if count != len(parameters()) {
		t.Errorf("%d names, %d rows by name", count, len(parameters()))
	}
}

// The keywords of libpq, PostgreSQL 12 to 18 (PQconninfoOptions).
func TestEveryKeywordOfLibpqIsKnown(t *testing.T) {
	t.Parallel()
	for name := range strings.FieldsSeq(`service servicefile user password passfile channel_binding connect_timeout dbname
		host hostaddr port client_encoding options application_name fallback_application_name keepalives keepalives_idle
		keepalives_interval keepalives_count tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey
		sslcertmode sslpassword sslrootcert sslcrl sslcrldir sslsni requirepeer require_auth min_protocol_version
		max_protocol_version ssl_min_protocol_version ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation
		replication target_session_attrs load_balance_hosts scram_client_key scram_server_key oauth_issuer oauth_client_id
		oauth_client_secret oauth_scope sslkeylogfile authtype tty`) {
		if parameters()[name] == nil {
			t.Errorf("%s has no row in the table", name)
		}
	}
}

// URLs as libpq, providers and libraries write them.
func TestURLsOfProviders(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"Neon":                    "postgresql://u:p@ep-x-1.eu-central-1.aws.neon.tech/db?sslmode=require&channel_binding=require&options=endpoint%3Dep-x-1",
		"Supabase":                "postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
		"Vercel":                  "postgres://u:p@h:6543/postgres?sslmode=require&supa=base-pooler.x",
		"Heroku":                  "postgres://u:p@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d?sslmode=require",
		"Azure":                   "postgresql://me%40server:p@server.postgres.database.azure.com:5432/postgres?sslmode=require",
		"Cloud SQL":               "postgres://u:p@/db?host=/cloudsql/project:region:instance",
		"CockroachDB":             "postgresql://u:p@h:26257/db?sslmode=require&options=--cluster%3Dx-1",
		"Prisma":                  "postgresql://u:p@h:5432/db?schema=public&connection_limit=5&pool_timeout=2&connect_timeout=10&sslaccept=accept_invalid_certs&socket_timeout=3&statement_cache_size=0",
		"SQLAlchemy":              "postgresql+psycopg://u:p@h/db?application_name=x&connect_timeout=10",
		"SQLAlchemy, asyncpg":     "postgresql+asyncpg://u:p@h/db?prepared_statement_cache_size=0",
		"Django":                  "postgres://u:p@h/db?conn_max_age=600&conn_health_checks=true&sslmode=require",
		"Rails":                   "postgresql://u:p@h/db?pool=5&timeout=5000&prepared_statements=false&encoding=unicode&advisory_locks=false",
		"Ecto":                    "postgres://u:p@h/db?pool_size=10&ssl=true",
		"sqlx":                    "postgres://u:p@h/db?sslmode=prefer&statement-cache-capacity=100",
		"node-postgres":           "postgres://u:p@h/db?sslmode=require&uselibpqcompat=true&query_timeout=1000",
		"libpq, keepalives":       "postgres://u@h/db?keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=10000",
		"libpq, addresses":        "postgres://u@h1,h2/db?hostaddr=127.0.0.1,127.0.0.2&load_balance_hosts=random&gssencmode=disable",
		"libpq, versions":         "postgres://u@h/db?sslmode=require&ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.3",
		"libpq, several":          "postgres://u@h1:5432,h2:5433/db?target_session_attrs=read-write&fallback_application_name=x&client_encoding=auto",
		"a setting of the server": "postgres://u@h/db?TimeZone=UTC&statement_timeout=5000&citus.shard_count=4&options=-c%20log_statement%3Dnone",
	} {
		if err := check(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong is refused by name, with what to do, and without the values of other parameters.
func TestParametersThatAreRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"sslmod=verify-full":             `unknown parameter "sslmod"`,
		"hostt=hunter2":                  `unknown parameter "hostt"`,
		"log_statement=none":             "options=-c%20name%3Dvalue",
		"sslcrl=/x":                      "revocation lists are not checked",
		"gssencmode=require":             `"require" is not allowed, only disable, prefer`,
		"keepalives_idle=soon":           `parameter keepalives_idle: "soon"`,
		"replication=database":           "parameter replication",
		"SSLMode=verify-full":            "parameter SSLMode: write it in lower case",
		"ssl=verify-full":                "write sslmode=",
		"sslaccept=strict":               "write sslmode=verify-full",
		"currentSchema=x&sslfactory=y":   "it belongs to JDBC",
		"hostaddr=127.0.0.1,127.0.0.2,a": "is not an IP address",
		"hostaddr=elsewhere":             "parameter hostaddr",
		"ssl_min_protocol_version=2":     "parameter ssl_min_protocol_version",
		"connect_timeout=soon":           "invalid connect_timeout",
		"sslmode=no-verify":              "sslmode is invalid",
		"sslrootcert=/nowhere/ca.pem":    "parameter sslrootcert: open /nowhere/ca.pem",
		"sslcert=/nowhere/c&sslkey=/n/k": "parameter sslcert: open /nowhere/c",
		"passfile=/nowhere/pass":         "parameter passfile: open /nowhere/pass",
		"sslcrl=/x&foo=1&sslidentity=/x": "parameter sslidentity",
	} {
		err := check("postgres://me:hunter2@h/x?" + query)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "DATABASE_URL") ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	_, err := Open(t.Context(), Config{
		URL: "postgres://h/x?target_session_attrs=standby", Registry: "r", SchemaTemplate: "t_{tenant_id}", Connections: 1,
	})
	if err == nil || !strings.Contains(err.Error(), "parameter target_session_attrs: standby") || pipeline.IsOutage(err) {
		t.Errorf("a standby: %v", err)
	}
}

// A variable of the environment that protects connections is not ignored. (Not parallel: it sets the environment.)
func TestVariablesOfLibpq(t *testing.T) {
	for name, value := range map[string]string{"PGSSLCRL": "/x", "PGREQUIREPEER": "postgres", "PGGSSENCMODE": "require"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if err := check("postgres://h/x"); err == nil || !strings.Contains(err.Error(), name+": parameter ") {
				t.Error(err)
			}
		})
	}
	t.Setenv("PGSSLMINPROTOCOLVERSION", "TLSv1.3")
	conn, err := Config{URL: "postgres://h1,h2/x?sslmode=prefer"}.connConfig()
	if err != nil || conn.TLSConfig.MinVersion != versionsOfTLS["tlsv1.3"] ||
		conn.Fallbacks[1].TLSConfig.MinVersion != versionsOfTLS["tlsv1.3"] {
		t.Errorf("%+v, %v", conn, err)
	}
}

// Variables has every variable that the driver reads, and the parameters that they stand for.
func TestVariablesAreThoseOfTheDriver(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5/pgconn").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "config.go"))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]string{}
	for _, match := range regexp.MustCompile(`"(PG[A-Z_]+)": *"(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		read[match[1]] = match[2]
	}
	for _, v := range Variables {
		if v.byDriver != (read[v.Name] == v.Parameter) {
			t.Errorf("%+v: the driver reads it as %q", v, read[v.Name])
		}
		if parameters()[v.Parameter] == nil {
			t.Errorf("%+v: the parameter is not known", v)
		}
		delete(read, v.Name)
	}
	if len(read) > 0 {
		t.Errorf("not in the list: %v", read)
	}
}

// A service file can hold parameters too.
func TestParametersOfAServiceFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "services")
	write := func(line string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("[tenants]\nhost=h\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw := "postgres:///x?service=tenants&servicefile=" + file
	write("keepalives=1")
	if err := check(raw); err != nil {
		t.Error(err)
	}
	write("sslcrl=/x")
	if err := check(raw); err == nil || !strings.Contains(err.Error(), "parameter sslcrl") {
		t.Error(err)
	}
}

// The server gets every setting that its roles may change, and none of the parameters that are not for it.
func TestParametersThatTheServerGets(t *testing.T) {
	t.Parallel()
	raw := postgrestest.Database(t)
	conn, err := pgx.Connect(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	rows, err := conn.Query(t.Context(), "SELECT name, setting || coalesce(CASE unit WHEN '8kB' THEN '' ELSE unit END, '') "+
		"FROM pg_catalog.pg_settings WHERE context = 'user' AND name NOT LIKE '%.%'")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var name, setting string
	if _, err = pgx.ForEachRow(rows, []any{&name, &setting}, func() error {
		row := parameters()[strings.ToLower(name)]
		switch {
		case row == nil:
			t.Errorf("the server's setting %s is not in the table", name)
		case row.use == forSession:
			all[name] = setting
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range parameterTable {
		for name := range strings.FieldsSeq(parameterTable[i].names) {
			if parameterTable[i].use == unused {
				all[name] = parameterTable[i].sample()
			}
		}
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	c := Config{URL: withParameters(t, raw, all), Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(t.Context(), c); !errors.Is(err, sql.ErrNoRegistry) {
		t.Errorf("%d parameters: %v", len(all), err)
	}
}

// What only the server can judge ends the start, with an error that names DATABASE_URL.
func TestParametersThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE someone LOGIN PASSWORD 'secret'")
	for _, p := range [][2]string{
		{"statement_timeout", "abc"},
		{"TimeZone", "Mars"},
		{"role", "nobody"},
		{"options", "-c log_statement=none"},
		{"options", "-c no_such_setting=1"},
		{"options", "endpoint"},
	} {
		t.Run(p[0]+" "+p[1], func(t *testing.T) {
			t.Parallel()
			c := Config{
				URL:      withParameters(t, s.URLOf("someone", "secret"), map[string]string{p[0]: p[1]}),
				Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1,
				Log: slog.New(slog.DiscardHandler),
			}
			_, err := Open(t.Context(), c)
			if err == nil || pipeline.IsOutage(err) || !strings.Contains(err.Error(), parameterHint) {
				t.Errorf("when it starts: %v", err)
			}
			_, err = OpenReader(t.Context(), c) // as for a new connection of a service that runs
			var fault *pipeline.Fault
			if !errors.As(err, &fault) || fault.Class != pipeline.Outage || fault.Message != parameterHint {
				t.Errorf("later: %v", err)
			}
		})
	}
}

func TestShownParameters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"password", "sslpassword", "options", "oauth_client_secret", "sslmod", "pasword"} {
		if ShowsParameter(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{"sslmode", "SSLMODE", "host", "schema", "lock_timeout", "pool_max_conns"} {
		if !ShowsParameter(name) {
			t.Errorf("%s is hidden", name)
		}
	}
	if names := slices.Sorted(maps.Keys(parameters())); len(names) < 250 {
		t.Errorf("only %d parameters are known", len(names))
	}
}
