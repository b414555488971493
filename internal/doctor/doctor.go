// Package doctor checks what the service depends on: database, registry, NATS, streams, files, clocks; and, if the
// service runs on this machine, what it says itself. It starts and changes nothing, needs no running service, and
// prints nothing: each check returns a [Finding]. In directories of files it tries the file system in a scratch
// directory, which it removes. In PostgreSQL it rehearses a request in a transaction that it rolls back.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql/postgres"
)

// Statuses of a finding.
const (
	OK      = "ok"
	Warning = "warning" // no effect on requests now
	Fault   = "fault"   // requests cannot be served, or confirmed data can be lost
)

// Finding is the result of one check. Its JSON form is for programs.
type Finding struct {
	Name    string `json:"name"` // one of Names
	Status  string `json:"status"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do: commands, SQL or a sentence, one a line
}

// Names lists all checks in display order. docs/doctor.md explains each; checks of one server, such as postgresChecks,
// run in this order.
var Names = slices.Concat(
	[]string{
		"service", "credentials_expiry",
	},
	[]string{
		"database", "database_tls", "database_version", "database_pooler", "database_writable", "database_password",
		"database_rights", "registry_rights", "registry_migration", "database_durability", "database_standby",
		"database_encoding", "database_collation", "database_timezone", "database_locks", "database_connections",
		"database_neighbours", "database_citus", "database_rehearsal", "database_event_triggers", "database_dumps",
		"database_clock",
	},
	[]string{"storage", "storage_filesystem", "storage_space", "storage_rehearsal"},
	[]string{
		"registry", "registry_file", "registry_tenants", "registry_ledger", "registry_twins", "registry_case",
		"registry_plans", "registry_scripts", "registry_names", "registry_collisions",
	},
	[]string{
		"prepared_boundaries", "prepared_unused", "prepared_definition", "prepared_missing", "prepared_contents",
		"prepared_owner", "prepared_astray", "files_under_construction",
	},
	[]string{
		"embedded_directory", "embedded_filesystem", "embedded_space",
		"nats", "nats_tls", "nats_version", "nats_permissions", "nats_clock", "nats_sync", "jetstream", "jetstream_replicas",
		"requests_stream", "requests_room", "events_stream", "events_retention", "dead_letters_stream",
		"dead_letters_retention", "durable_consumer", "consumer_limits", "consumer_paused", "consumer_clock",
		"consumer_sequence", "consumer_service", "consumer_redelivered", "requests_age", "streams_registry",
		"outcomes_ledger", "outcomes_published", "dead_letters_missing", "requests_running", "boundaries_unregistered",
	},
)

// ok is the finding of a check that passed.
func ok(name, format string, args ...any) Finding {
	return Finding{Name: name, Status: OK, Message: fmt.Sprintf(format, args...)}
}

// warning is a finding to fix at some point; hint says how.
func warning(name, hint, format string, args ...any) Finding {
	return Finding{Name: name, Status: Warning, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// fault is a finding to fix now.
func fault(name, hint, format string, args ...any) Finding {
	return Finding{Name: name, Status: Fault, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// Examine runs all checks. A check that cannot run yields a finding, and the others still run. now is this machine's
// clock.
func Examine(ctx context.Context, c config.Config, now func() time.Time) []Finding {
	first := []Finding{examineService(ctx, c), checkCredentials(c, now())}
	return slices.Concat(first, examineDatabase(ctx, c, now), examineNATS(ctx, c, now))
}

func examineDatabase(ctx context.Context, c config.Config, now func() time.Time) []Finding {
	if !c.OnPostgres() {
		return append(examineStorage(ctx, c), examineRegistry(ctx, c)...)
	}
	return examinePostgres(ctx, c, now)
}

// unreadable is the finding that something could not be checked.
func unreadable(name string, err error) Finding {
	return Finding{Name: name, Status: Fault, Message: "could not be checked: " + explained(err)}
}

// explained is the text of an error with all that PostgreSQL says about it. It joins the lines: errors of several hosts
// have several.
func explained(err error) string {
	return strings.Join(strings.Fields(err.Error()+postgres.Details(err)), " ")
}

// unreadableByUser is unreadable as a warning, for an error that does not concern the service, such as a missing
// permission that only the check needs.
func unreadableByUser(name, hint string, err error) Finding {
	found := unreadable(name, err)
	found.Status, found.Hint = Warning, hint
	return found
}
