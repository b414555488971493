package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// use is what happens to a parameter of DATABASE_URL.
type use int

const (
	forDriver  use = iota // the driver reads it
	forService            // this package reads it: see applyParameters
	forSession            // a setting of the session, whose value the server checks
	unused                // accepted without effect
	rejected              // refused at start
)

// parameterRow is a group of parameters of DATABASE_URL with the same treatment.
type parameterRow struct {
	use    use
	names  string // separated by spaces, in lower case
	values string // the allowed values, separated by spaces, or "integer", or "boolean"; empty: any
	why    string // unused: why it has no effect. rejected, and for a value that is not allowed: what to do
	secret bool   // its values are shown nowhere
}

// parameterTable has all known parameters of DATABASE_URL. One that is not in it is refused, so that a mistyped
// sslmode does not lead to an unencrypted connection. Settings of the server that are not in it can be written as
// options=-c%20name%3Dvalue; names with a dot belong to extensions and are passed on.
//
// Sources: libpq of PostgreSQL 18 (PQconninfoOptions); pgx 5.12; settings with context "user" of PostgreSQL 13 to 18;
// the documentation of the providers and libraries named below.
var parameterTable = []parameterRow{
	// libpq.
	{use: forDriver, names: "host port dbname database user passfile connect_timeout sslmode sslcert sslkey sslcertmode " +
		"sslrootcert sslsni sslnegotiation channel_binding require_auth min_protocol_version max_protocol_version " +
		"target_session_attrs service servicefile krbsrvname"},
	{use: forDriver, names: "password sslpassword", secret: true},
	{use: forService, names: "hostaddr ssl_min_protocol_version ssl_max_protocol_version fallback_application_name"},
	{use: forSession, names: "application_name"},
	{use: forSession, names: "options", secret: true},
	{use: unused, names: "keepalives", values: "boolean", why: "each call to the server has a time limit"},
	{
		use: unused, names: "keepalives_idle keepalives_interval keepalives_count", values: "integer",
		why: "each call to the server has a time limit",
	},
	{use: unused, names: "load_balance_hosts", values: "disable random", why: "only the writable server is used"},
	{use: unused, names: "gssencmode", values: "disable prefer", why: "there is no encryption by GSS: use sslmode"},
	{use: unused, names: "gsslib gssdelegation krbspn", why: "there is no login by Kerberos"},
	{use: unused, names: "sslcompression", values: "boolean", why: "TLS is never compressed"},
	{use: unused, names: "replication", values: "false off no 0", why: "the service needs an ordinary session"},
	{use: unused, names: "authtype tty", why: "libpq ignores it too"},
	{
		use: unused, names: "client_encoding datestyle default_transaction_isolation row_security",
		why: "the service sets it itself",
	},
	{use: rejected, names: "sslcrl sslcrldir", why: "revocation lists are not checked; remove it"},
	{use: rejected, names: "requirepeer", why: "the owner of a socket is not checked; remove it"},
	{use: rejected, names: "sslkeylogfile", why: "keys of TLS are not logged; remove it"},
	{
		use: rejected, names: "scram_client_key scram_server_key", secret: true,
		why: "not supported; use password or passfile",
	},
	{
		use: rejected, names: "oauth_issuer oauth_client_id oauth_client_secret oauth_scope oauth_ca_file", secret: true,
		why: "there is no login by OAuth; use a password or a certificate",
	},
	// pgx.
	{use: forDriver, names: "statement_cache_capacity description_cache_capacity default_query_exec_mode"},
	{
		use: unused, names: "pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime " +
			"pool_max_conn_lifetime_jitter pool_max_conn_idle_time pool_health_check_period pool_ping_timeout",
		why: "CONCURRENCY sets the number of connections; the service manages them",
	},
	// Prisma, SQLAlchemy, Django, Rails, Ecto, sqlx, node-postgres, postgres.js, Supabase, Vercel, YugabyteDB.
	{
		use: unused, names: "schema currentschema schema_search_path",
		why: "REGISTRY_SCHEMA and SCHEMA_TEMPLATE name the schemas",
	},
	{
		use: unused, names: "connection_limit pool_timeout pool pool_size pool_min pool_max pool_recycle pool_pre_ping " +
			"max min min_size max_size max_overflow checkout_timeout reaping_frequency idle_timeout max_lifetime " +
			"max_idle_connection_lifetime max_connection_lifetime single_use_connections queue_target queue_interval " +
			"conn_max_age conn_health_checks",
		why: "CONCURRENCY sets the number of connections; the service manages them",
	},
	{
		use: unused, names: "pgbouncer statement_cache_size statement-cache-capacity statement_limit prepared_statements " +
			"prepared_statement_cache_size prepared_statement_name_func prepare_threshold prepare " +
			"max_cached_statement_lifetime disable_server_side_cursors executemany_mode use_native_hstore " +
			"async_fallback plugin driver adapter engine",
		why: "it concerns another library",
	},
	{
		use: unused, names: "socket_timeout query_timeout command_timeout timeout connect_timeout_ms",
		why: "each call to the server has a time limit",
	},
	{use: unused, names: "encoding charset client_charset", why: "the encoding is always UTF8"},
	{
		use: unused, names: "uselibpqcompat supa workaround advisory_locks database_tasks variables min_messages " +
			"load_balance topology_keys autocommit atomic_requests",
		why: "it concerns another library",
	},
	{
		use: unused, names: "sslaccept", values: "accept_invalid_certs",
		why: "to check the server's certificate write sslmode=verify-full",
	},
	{use: rejected, names: "sslidentity", why: "write sslcert and sslkey, both in PEM", secret: true},
	{
		use: rejected, names: "ssl ssl_require ssl_mode ssl-mode sslverify rejectunauthorized tls",
		why: "write sslmode=disable, require or verify-full",
	},
	{
		use: rejected, names: "ssl_ca ssl-ca ssl_root_cert ssl-root-cert ssl_cert ssl-cert ssl_key ssl-key sslca",
		why: "write sslrootcert, sslcert and sslkey",
	},
	{use: rejected, names: "unix_sock unixsocketpath socket socketpath", why: "write host=/DIRECTORY"},
	// JDBC.
	{use: rejected, names: "applicationname", why: "write application_name"},
	{use: rejected, names: "connecttimeout logintimeout", why: "write connect_timeout, in seconds"},
	{use: rejected, names: "targetservertype", why: "of several hosts the service uses the writable one; remove it"},
	{
		use: rejected, names: "sslfactory sslfactoryarg sslhostnameverifier sslpasswordcallback sslresponsetimeout",
		why: "it belongs to JDBC; write sslmode, sslrootcert, sslcert and sslkey", secret: true,
	},
	{
		use: rejected, names: "sockettimeout tcpkeepalive tcpnodelay preparethreshold preparedstatementcachequeries " +
			"preparedstatementcachesizemib rewritebatchedinserts loadbalancehosts hostrecheckseconds stringtype " +
			"binarytransfer binarytransferenable binarytransferdisable defaultrowfetchsize assumeminserverversion " +
			"preferquerymode autosave cleanupsavepoints readonly readonlymode logunclosedconnections loggerlevel loggerfile " +
			"disablecolumnsanitiser gssresponsetimeout allowencodingchanges cancelsignaltimeout " +
			"receivebuffersize sendbuffersize quotereturningidentifiers maxresultbuffer adaptivefetch escapesyntaxcallmode " +
			"socketfactory socketfactoryarg xmlfactoryfactory localsocketaddress kerberosservername jaasapplicationname " +
			"jaaslogin usespnego",
		why: "it belongs to JDBC; remove it",
	},
	// Settings that every role may change in its session.
	{
		use: rejected, names: "transaction_deferrable transaction_isolation transaction_read_only",
		why: "it belongs to one transaction; remove it",
	},
	{use: forSession, names: "array_nulls backend_flush_after backslash_quote bytea_output check_function_bodies " +
		"client_connection_check_interval client_min_messages commit_siblings constraint_exclusion cpu_index_tuple_cost " +
		"cpu_operator_cost cpu_tuple_cost createrole_self_grant cursor_tuple_fraction debug_logical_replication_streaming " +
		"debug_parallel_query debug_pretty_print debug_print_parse debug_print_plan debug_print_raw_parse " +
		"debug_print_rewritten default_statistics_target default_table_access_method default_tablespace " +
		"default_text_search_config default_toast_compression default_transaction_deferrable " +
		"default_transaction_read_only default_with_oids effective_cache_size effective_io_concurrency " +
		"enable_async_append enable_bitmapscan enable_distinct_reordering enable_eager_aggregate enable_gathermerge " +
		"enable_group_by_reordering enable_groupagg enable_hashagg enable_hashjoin enable_incremental_sort " +
		"enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop " +
		"enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate " +
		"enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort " +
		"enable_tidscan escape_string_warning exit_on_error extra_float_digits file_copy_method force_parallel_mode " +
		"from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias " +
		"geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit hash_mem_multiplier icu_validation_level " +
		"idle_in_transaction_session_timeout idle_session_timeout intervalstyle io_combine_limit jit jit_above_cost " +
		"jit_expressions jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming join_collapse_limit lc_monetary " +
		"lc_numeric lc_time local_preload_libraries lock_timeout log_parameter_max_length_on_error " +
		"logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem max_parallel_maintenance_workers " +
		"max_parallel_workers max_parallel_workers_per_gather md5_password_warnings min_parallel_index_scan_size " +
		"min_parallel_table_scan_size " +
		"operator_precedence_warning optimize_bounded_sort parallel_leader_participation parallel_setup_cost " +
		"parallel_tuple_cost password_encryption plan_cache_mode quote_all_identifiers random_page_cost " +
		"recursive_worktable_factor restrict_nonsystem_relation_kind role scram_iterations search_path seed seq_page_cost " +
		"session_authorization ssl_renegotiation_limit standard_conforming_strings statement_timeout " +
		"stats_fetch_consistency synchronize_seqscans synchronous_commit tcp_keepalives_count tcp_keepalives_idle " +
		"tcp_keepalives_interval tcp_user_timeout temp_buffers temp_tablespaces timezone timezone_abbreviations " +
		"trace_notify trace_sort transaction_timeout " +
		"transform_null_equals vacuum_buffer_usage_limit vacuum_cleanup_index_scale_factor vacuum_cost_delay " +
		"vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_failsafe_age " +
		"vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate " +
		"vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate " +
		"wal_sender_shutdown_timeout wal_sender_timeout wal_skip_threshold work_mem xmlbinary xmloption"},
}

// parameters is the table by name.
var parameters = sync.OnceValue(func() map[string]*parameterRow {
	rows := map[string]*parameterRow{}
	for i := range parameterTable {
		for name := range strings.FieldsSeq(parameterTable[i].names) {
			rows[name] = &parameterTable[i]
		}
	}
	return rows
})

// ParameterGroup describes parameters of DATABASE_URL with the same effect, for the reference.
type ParameterGroup struct {
	Names  []string
	Values string // the allowed values; empty: any, or those that the driver or the server allows
	Effect string
}

// ParameterGroups describes all known parameters.
func ParameterGroups() []ParameterGroup {
	var groups []ParameterGroup
	for i := range parameterTable {
		row := &parameterTable[i]
		effect := map[use]string{
			forDriver: "used for the connection", forService: "used for the connection", forSession: "a setting of the session",
			unused: "no effect: " + row.why, rejected: "refused: " + row.why,
		}[row.use]
		values := strings.ReplaceAll(row.values, " ", ", ")
		switch row.values {
		case "integer":
			values = "a whole number"
		case "boolean":
			values = strings.Join(isBoolean, ", ")
		}
		groups = append(groups, ParameterGroup{Names: strings.Fields(row.names), Values: values, Effect: effect})
	}
	return groups
}

// ShowsParameter reports whether the value of a parameter of DATABASE_URL may be shown. A parameter that is not known,
// such as one with a mistyped name, may hold a secret.
func ShowsParameter(name string) bool {
	row, known := parameters()[strings.ToLower(name)]
	return known && !row.secret && row.use != rejected
}

// isBoolean are the spellings of the server and of other libraries.
var isBoolean = []string{"0", "1", "true", "false", "on", "off", "yes", "no"}

// allows reports whether the value is one of values.
func (r *parameterRow) allows(value string) bool {
	switch r.values {
	case "":
		return true
	case "integer":
		_, err := strconv.Atoi(value)
		return err == nil
	case "boolean":
		return slices.Contains(isBoolean, strings.ToLower(value))
	}
	return slices.Contains(strings.Fields(r.values), value)
}

// checkQuery returns what is wrong with the parameters of the URL that the driver does not read.
func (c Config) checkQuery() error {
	var faults []error
	for name, value := range c.query() {
		row := parameters()[name]
		if row != nil && row.use == forDriver || name == "ssl" && value == "true" { // which the driver reads as sslmode
			continue
		}
		if _, err := checkParameter(name, value); err != nil {
			faults = append(faults, fmt.Errorf("DATABASE_URL: %w", err))
		}
	}
	return errors.Join(faults...)
}

// notSynced are the values of synchronous_commit that acknowledge a commit before it is on disk.
var notSynced = map[string]bool{"off": true, "false": true, "no": true, "0": true}

// checkParameter returns the row of a parameter that the driver does not read, or what is wrong with it. A nil row
// belongs to a setting of an extension.
func checkParameter(name, value string) (*parameterRow, error) {
	row, known := parameters()[strings.ToLower(name)]
	switch {
	case !known && strings.Contains(name, "."):
		return nil, nil
	case !known:
		return nil, fmt.Errorf("unknown parameter %q; correct or remove it; write a setting of the server as "+
			"options=-c%%20name%%3Dvalue", name)
	case row.use == rejected:
		return nil, fmt.Errorf("parameter %s: %s", name, row.why)
	case row.use == forDriver:
		return nil, fmt.Errorf("parameter %s: write it in lower case", name)
	case strings.EqualFold(name, "synchronous_commit") && notSynced[strings.ToLower(value)]:
		return nil, errors.New("with synchronous_commit=off a server crash loses tenants whose outcomes were published; " +
			"leave it out")
	case !row.allows(value):
		allowed := strings.ReplaceAll(row.values, " ", ", ")
		return nil, fmt.Errorf("parameter %s: %q is not allowed, only %s: %s", name, value, allowed, row.why)
	}
	return row, nil
}
