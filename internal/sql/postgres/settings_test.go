package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
)

// untouched are the settings that sessions leave as they are, and the reason. The first pattern that matches a name
// counts.
var untouched = []struct{ pattern, reason string }{
	{"application_name", "set when connecting; it identifies the service's sessions"},
	{"synchronous_commit", "raised by each commit that must be durable, see durable.go"},
	{"default_transaction_read_only", "an operator stops the service with it: it waits, and names it"},
	{"transaction_*", "of one transaction"},
	{"role", "chooses who acts"},
	{"session_authorization", "chooses who acts"},
	{"default_table_access_method", "how rows are stored is for the operator to choose"},
	{"default_tablespace", "how rows are stored is for the operator to choose"},
	{"default_toast_compression", "how rows are stored is for the operator to choose"},
	{"temp_tablespaces", "no temporary objects"},
	{"local_preload_libraries", "the server refuses the login if one is missing"},
	{"timezone_abbreviations", "every set of the server's has UTC"},
	{"restrict_nonsystem_relation_kind", "only the server's own views are read"},
	{"lc_*", "no locale's formats are used"},
	{"default_text_search_config", "no text search"},
	{"xml*", "no XML"},
	{"seed", "no random numbers"},
	{"check_function_bodies", "no functions are created"},
	{"backslash_quote", "no escape strings"},
	{"escape_string_warning", "no escape strings"},
	{"operator_precedence_warning", "a warning"},
	{"md5_password_warnings", "a warning"},
	{"password_encryption", "no roles are created"},
	{"scram_iterations", "no roles are created"},
	{"createrole_self_grant", "no roles are created"},
	{"icu_validation_level", "no collations are created"},
	{"gin_*", "no such indexes"},
	{"vacuum_*", "nothing is vacuumed by these sessions"},
	{"debug_*", "what the server logs, and how it plans"},
	{"trace_*", "what the server logs"},
	{"log_*", "what the server logs"},
	{"tcp_*", "how soon the server notices a lost client"},
	{"ssl_renegotiation_limit", "without effect"},
	{"client_connection_check_interval", "how soon the server notices a lost client"},
	{"wal_sender_timeout", "of replication"},
	{"logical_*", "of replication"},
	{"output_plugin_libraries", "of replication"},
	{"stats_fetch_consistency", "not of the activity of sessions, which is what is read"},
	// Those that only a superuser can set, for a role or a database.
	{"session_replication_role", "the service has no triggers"},
	{"event_triggers", "the service has none"},
	{"track_*", "statistics, and since when commits wait for a standby: docs/delivery.md"},
	{"compute_query_id", "statistics"},
	{"update_process_title", "statistics"},
	{"allow_*", "every object is created by its qualified name"},
	{"composite_type_mismatch", "no composite values are read"},
	{"lo_compat_privileges", "no large objects"},
	{"temp_file_limit", "no query sorts much"},
	{"backtrace_functions", "what the server logs"},
	{"deadlock_timeout", "how soon a deadlock is found"},
	{"max_stack_depth", "the server refuses a statement that needs more"},
	{"session_preload_libraries", "the server refuses the login if one is missing"},
	{"dynamic_library_path", "no libraries are loaded"},
	{"extension_*", "no extensions are created"},
	{"ignore_*", "how the server treats damage"},
	{"zero_damaged_pages", "how the server treats damage"},
	// Speed only.
	{"enable_*", "plans"},
	{"*_cost", "plans"},
	{"geqo*", "plans"},
	{"jit_*", "plans"},
	{"*parallel_*", "plans"},
	{"*_collapse_limit", "plans"},
	{"constraint_exclusion", "plans"},
	{"cursor_tuple_fraction", "plans"},
	{"default_statistics_target", "plans"},
	{"effective_*", "plans"},
	{"plan_cache_mode", "plans"},
	{"recursive_worktable_factor", "plans"},
	{"synchronize_seqscans", "plans"},
	{"*work_mem", "memory"},
	{"hash_mem_multiplier", "memory"},
	{"temp_buffers", "memory"},
	{"backend_flush_after", "disk"},
	{"commit_*", "disk"},
	{"maintenance_io_concurrency", "disk"},
	{"io_*", "disk"},
	{"file_copy_method", "disk"},
	{"wal_*", "disk"},
}

// hostileValues are values of settings whose values the catalogue does not list, or whose limits would only end the
// session before the service can change them.
var hostileValues = map[string]string{
	"search_path": "public", "client_encoding": "LATIN1", "application_name": "hostile", "DateStyle": "German, DMY",
	"TimeZone": "Asia/Kathmandu", "timezone_abbreviations": "India", "default_text_search_config": "pg_catalog.german",
	"lc_monetary": "POSIX", "lc_numeric": "POSIX", "lc_time": "POSIX", "createrole_self_grant": "set, inherit",
	"statement_timeout": "10s", "idle_session_timeout": "10s", "transaction_timeout": "10s",
	"restrict_nonsystem_relation_kind": "view, foreign-table",
}

// sessionSetting is a row of pg_settings.
type sessionSetting struct {
	Name, Kind, Boot, Min, Max string
	Values                     []string
}

// hostile returns values that differ from the default: the first, or else the last one.
func (s sessionSetting) hostile(first bool) string {
	if value, found := hostileValues[s.Name]; found {
		return value
	}
	values := s.Values
	switch s.Kind {
	case "bool":
		values = []string{"on", "off"}
	case "integer", "real":
		values = []string{s.Min, s.Max}
	}
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == s.Boot })
	switch {
	case len(values) == 0:
		return ""
	case first:
		return values[0]
	}
	return values[len(values)-1]
}

// The result is the same whatever the database sets: of each setting that can be set for a role or a database, a
// hostile value is the default of the database. Those on which results depend have the service's value in each session;
// all others are listed with the reason.
func TestNoSettingChangesTheResult(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first=%t", first), func(t *testing.T) {
			t.Parallel()
			url := postgrestest.Database(t)
			setHostile(t, url, first)
			expectSettings(t, url)
			expectProvisioned(t, url)
		})
	}
}

func setHostile(t *testing.T, url string, first bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `SELECT name, vartype, coalesce(boot_val, ''), coalesce(min_val, ''),
		coalesce(max_val, ''), coalesce(enumvals, '{}')
		FROM pg_settings WHERE name NOT LIKE '%.%' AND (context = 'user' OR context = 'superuser'
			AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
		ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sessionSetting])
	if err != nil || len(all) < 100 {
		t.Fatalf("%d settings: %v", len(all), err)
	}
	for _, s := range all {
		is := func(o setting) bool { return o.name == s.Name }
		kept := !slices.ContainsFunc(forced, is) && !slices.ContainsFunc(defaults, is)
		if kept && reasonFor(s.Name) == "" {
			t.Errorf("%s is neither set for each session nor listed as harmless", s.Name)
		}
		value := s.hostile(first)
		switch {
		case slices.Contains([]string{"default_transaction_read_only", "max_stack_depth"}, s.Name),
			strings.HasPrefix(s.Name, "transaction_") && kept:
		case value != "":
			statement := "ALTER DATABASE " + quote(database) + " SET " + quote(s.Name) + " = " + literal(value)
			if s.Name == "search_path" {
				statement = "ALTER DATABASE " + quote(database) + " SET search_path = " + value
			}
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		case !kept:
			t.Errorf("no hostile value of %s is known", s.Name)
		}
	}
}

func reasonFor(name string) string {
	for _, s := range untouched {
		if matches, err := path.Match(s.pattern, name); err == nil && matches {
			return s.reason
		}
	}
	return ""
}

// expectSettings reads the settings of a session that is opened as the service opens its own.
func expectSettings(t *testing.T, url string) {
	t.Helper()
	conn, err := Config{URL: url}.connector(forWork).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	expect := func(name, want string) {
		t.Helper()
		var got, short *string
		err := conn.QueryRow(t.Context(), `SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name = $1::text),
			pg_catalog.current_setting($1::text, true)`, name).Scan(&got, &short)
		if err != nil {
			t.Fatal(err)
		}
		if got != nil && *got != want && *short != want { // nil: this server does not know it
			t.Errorf("%s is %s, want %s", name, *got, want)
		}
	}
	for _, s := range slices.Concat(forced, defaults) {
		expect(s.name, s.value)
	}
	expect("application_name", "tenant-provisioner")
}

// expectProvisioned provisions one tenant as asked and one from the pool, and reads everything back.
func expectProvisioned(t *testing.T, url string) {
	t.Helper()
	const displayName = "Zürich € 株式会社 \\' 😀"
	config := Config{
		URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 2, Prepared: 1,
		CreatedBy: "test", Log: slog.New(slog.DiscardHandler),
	}
	begin := time.Now().Add(-time.Second).UTC()
	store, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	provisioner, err := pipeline.New(pipeline.Config{
		Database: store, Source: events.DefaultSource, Log: config.Log, Now: time.Now, Steps: pipeline.Steps(),
		Limit: pipeline.Limit{Attempts: 1, Lease: time.Minute, CopyLease: time.Minute}, Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReader(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	within := func(what string, at time.Time) {
		t.Helper()
		if at.Before(begin) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%s at %s, which is not now", what, at)
		}
	}
	provision := func(tenant string, prepared bool) {
		t.Helper()
		e, err := events.NewRequested("/test", tenant,
			events.Requested{TenantID: tenant, DisplayName: displayName, CreatedBy: "billing"})
		if err != nil {
			t.Fatal(err)
		}
		request := pipeline.Request{Event: e}
		result := provisioner.Job(request).Run(t.Context())
		if !result.Decided() || !result.Outcome.Provisioned() {
			t.Fatalf("%s: %s %v %s", tenant, result.Verdict, result.Err, result.Outcome.Body)
		}
		if got := strings.Contains(string(result.Outcome.Body), `"prepared":true`); got != prepared {
			t.Errorf("%s: prepared is %t", tenant, got)
		}
		row, err := reader.Tenant(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		if row.DisplayName != displayName {
			t.Errorf("display name %q", row.DisplayName)
		}
		within("registered", row.CreatedAt)
		if in, err := reader.Verify(t.Context(), row); err != nil || len(in.Differences)+len(in.MissingIndexes) > 0 {
			t.Errorf("%+v, %v", in, err)
		}
		record, err := reader.Request(t.Context(), request.Key())
		if err != nil {
			t.Fatal(err)
		}
		if string(record.Outcome) != string(result.Outcome.Body) || len(record.History) != 2 {
			t.Errorf("%+v", record)
		}
		for _, entry := range record.History {
			within(entry.Event, entry.At)
		}
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := store.Rehearse(t.Context()); err != nil {
		t.Error(err)
	}
	provision("asked", false)
	if built, err := store.prepareOne(t.Context()); err != nil || !built {
		t.Fatalf("%t, %v", built, err)
	}
	provision("ready", true)
}

// What makes a database read-only is not overridden: the error names it, and it is an outage, so the service goes on
// when the database can be written to again.
func TestReadOnlyDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
	END $$`); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{
		URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test",
		Log: slog.New(slog.DiscardHandler),
	})
	if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), "default_transaction_read_only") {
		t.Errorf("%v", err)
	}
}

// DATABASE_URL may change the timeouts, and nothing on which results depend.
func TestSettingsOfTheURL(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t) + "&lock_timeout=3s&statement_timeout=7s&search_path=public" +
		"&options=-cquote_all_identifiers%3Don%20-cjit%3Don"
	conn, err := Config{URL: url}.connector(forWork).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for name, want := range map[string]string{
		"lock_timeout": "3s", "statement_timeout": "7s", "idle_in_transaction_session_timeout": "30s",
		"search_path": "pg_catalog", "quote_all_identifiers": "off", "jit": "off",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), "SELECT pg_catalog.current_setting($1::text)", name).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
