package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/terminal"
)

// rehearsalTimeout is how long a rehearsal takes at most without scripts, with its connection: as long as the service
// gives it.
const rehearsalTimeout = 30 * time.Second

// rehearsalTime is how long all rehearsals take at most. The service gives the scripts of each INIT_SCRIPT_TIMEOUT; it
// rehearses once with long values, once for each plan, and once in a boundary that is prepared.
func rehearsalTime(c config.Config) time.Duration {
	scripts := c.Scripts()
	if scripts == nil {
		return rehearsalTimeout
	}
	return time.Duration(len(scripts.Rehearsed())+2) * (rehearsalTimeout + scripts.Timeout)
}

// precluding are the checks whose faults a rehearsal would meet again. They name cause and remedy.
var precluding = []string{
	"database_version", "database_pooler", "database_writable", "database_rights", "registry_rights", "database_encoding",
	"database_citus", "registry",
}

// examineRehearsal rehearses a request as the service does, unless another finding shows that it would fail, or that
// the role is not the service's. A rehearsal that fails means that each request fails or waits.
func examineRehearsal(ctx context.Context, c config.Config, v postgres.ServerInfo, others []Finding) Finding {
	const name = "database_rehearsal"
	if err := v.Unread[postgres.PartPrivileges]; err != nil || v.IsReadOnlyRole() {
		return warning(name, "run doctor with the service's DATABASE_URL", "not tried: it needs the service's role")
	}
	for _, found := range others {
		if found.Status == Fault && slices.Contains(precluding, found.Name) {
			return warning(name, "first fix "+found.Name+", then run doctor again",
				"not tried: it would fail for the reason that %s names", found.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, rehearsalTime(c))
	defer cancel()
	r, err := postgres.Rehearse(ctx, c.Postgres())
	switch {
	case errors.Is(err, postgres.ErrNotRehearsed):
		return unreadableByUser(name, "run doctor again", err)
	case err != nil:
		return fault(name, rehearsalHint(err, v.EventTriggers), "no tenant can be provisioned: %s", explained(err))
	case len(r.MissingIndexes) > 0:
		return missingIndexes(name, r, v.EventTriggers)
	case !r.Registered:
		return ok(name, "the boundary of a tenant can be made and is as defined. It was not registered, because the "+
			"registry is to be migrated first; everything was rolled back")
	}
	return ok(name, "a tenant can be provisioned: its boundary is as defined, and was registered; everything was rolled "+
		"back")
}

// missingIndexes is the finding of tenants that lack indexes, which fails no request.
func missingIndexes(name string, r postgres.Rehearsal, triggers []postgres.EventTrigger) Finding {
	var reasons []string
	var first error
	for _, index := range slices.Sorted(maps.Keys(r.MissingIndexes)) {
		err := r.MissingIndexes[index]
		why := "it was removed again"
		if err != nil {
			why = explained(err)
			first = cmp.Or(first, err)
		}
		reasons = append(reasons, fmt.Sprintf("%s (%s)", index, why))
	}
	return warning(name, rehearsalHint(first, triggers), "tenants are provisioned with a warning, without indexes: %s",
		strings.Join(reasons, ", "))
}

// rehearsalHint says how to remove the cause of an error; nil: something changed what was made.
func rehearsalHint(err error, triggers []postgres.EventTrigger) string {
	var waited *pipeline.Fault
	if errors.As(err, &waited) && waited.TimedOut {
		return locksHint
	}
	suspects := postgres.Suspects(err, triggers)
	if len(suspects) == 0 {
		return "remove the cause that the message names, then run doctor again"
	}
	lines := []string{"-- event triggers fire for the service's statements. Have the one that is the cause skip the " +
		"service's schemas, or disable it:"}
	for _, e := range suspects {
		lines = append(lines, terminal.Plain(fmt.Sprintf("%s -- %s, function %s", e.Disable(), e.Event, e.Function)))
	}
	return strings.Join(lines, "\n")
}

// locksHint shows the sessions that may have kept the rehearsal waiting.
const locksHint = "SELECT pid, relation::regclass, mode FROM pg_locks WHERE granted AND mode IN ('ShareLock', " +
	"'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'); -- what it may have waited for, if that lasts"
