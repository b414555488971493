package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/terminal"
)

// abandonedAfter is the age at which no attempt still builds a file: an attempt takes seconds, and its lease ends long
// before.
const abandonedAfter = time.Hour

// examineLeftovers finds schemas and files that belong to no tenant and that no attempt will use.
func examineLeftovers(ctx context.Context, c config.Config, r database.Reader) []Finding {
	switch r := r.(type) {
	case database.PoolReader:
		return examinePool(ctx, c, r)
	case database.FileReader:
		return []Finding{examineFiles(ctx, r)}
	}
	return nil
}

func examineFiles(ctx context.Context, r database.FileReader) Finding {
	const name = "files_under_construction"
	paths, err := r.UnderConstruction(ctx, time.Now().Add(-abandonedAfter))
	if err != nil {
		return unreadable(name, err)
	}
	if len(paths) == 0 {
		return Finding{Name: name, Status: OK, Message: "none was left"}
	}
	commands := make([]string, len(paths))
	for i, path := range paths {
		commands[i] = "rm -- '" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return Finding{
		Name: name, Status: Warning, Hint: strings.Join(commands, "\n"),
		Message: fmt.Sprintf("%d untouched for an hour: the process died during an attempt. Remove them",
			len(paths)),
	}
}

// poolCheck is something that can be wrong with prepared boundaries.
type poolCheck struct {
	name string
	fine string // the message where no boundary has the fault
	has  func(c config.Config, b postgres.PreparedBoundary) bool
	text string // follows the number of them: what it means and what to do
}

// poolChecks are all faults of prepared boundaries. One boundary may have several.
var poolChecks = []poolCheck{
	{
		name: "prepared_unused", fine: "none is kept unnecessarily",
		has: func(c config.Config, b postgres.PreparedBoundary) bool { return c.Prepared == 0 && b.Current },
		text: "in the pool although PREPARED_BOUNDARIES is 0 here. Run doctor with the service's environment; remove " +
			"them if it is 0 there too",
	},
	{
		name: "prepared_definition", fine: "none is of another definition",
		has:  func(_ config.Config, b postgres.PreparedBoundary) bool { return !b.Current },
		text: "of another version's definition. Remove them once no replica of that version runs: no other uses them",
	},
	{
		name: "prepared_missing", fine: "none has lost its schema",
		has:  func(_ config.Config, b postgres.PreparedBoundary) bool { return !b.Exists },
		text: "in the pool without a schema, which was dropped. The service skips them. Remove them from the pool",
	},
	{
		name: "prepared_contents", fine: "none holds anything",
		has: func(_ config.Config, b postgres.PreparedBoundary) bool { return b.Holds },
		text: "that hold rows, or that this role may not read. A request that takes one with rows removes it from the " +
			"pool. Remove them yourself, and check what the schemas contain before you drop them",
	},
	{
		name: "prepared_owner", fine: "none is owned by another role",
		has: func(_ config.Config, b postgres.PreparedBoundary) bool { return b.Owner != "" },
		text: "owned by a role that this one is not a member of. If this is the service's role, the service skips them. " +
			"Remove them as their owner",
	},
}

func examinePool(ctx context.Context, c config.Config, r database.PoolReader) []Finding {
	const name = "prepared_boundaries"
	all, err := r.Prepared(ctx)
	switch {
	case errors.Is(err, postgres.ErrNoPool) && c.Prepared == 0:
		return nil
	case errors.Is(err, postgres.ErrNoPool):
		return []Finding{warning(name, "start the service once", "%s", err)}
	case pipeline.IsOutage(err):
		return []Finding{unreadable(name, err)}
	case err != nil: // such as a missing permission, which the service's role may have
		found := unreadable(name, err)
		found.Status = Warning
		return []Finding{found}
	}
	var ready int
	var astray []postgres.PreparedBoundary
	found := make(map[string][]postgres.PreparedBoundary)
	for _, b := range all {
		if !b.Pooled {
			astray = append(astray, b)
			continue
		}
		fit := true
		for _, p := range poolChecks {
			if p.has(c, b) {
				found[p.name] = append(found[p.name], b)
				fit = false
			}
		}
		if fit {
			ready++
		}
	}
	checks := []Finding{{Name: name, Status: OK, Message: fmt.Sprintf("%d ready, of %d wanted", ready, c.Prepared)}}
	for _, p := range poolChecks {
		checks = append(checks, p.result(found[p.name]))
	}
	return append(checks, examineAstray(astray))
}

// result is the finding for the boundaries that have this fault.
func (p poolCheck) result(found []postgres.PreparedBoundary) Finding {
	if len(found) == 0 {
		return Finding{Name: p.name, Status: OK, Message: p.fine}
	}
	return Finding{Name: p.name, Status: Warning, Message: fmt.Sprintf("%d %s", len(found), p.text), Hint: removals(found)}
}

// examineAstray judges schemas that have the name of a prepared boundary and are neither in the pool nor a tenant's.
func examineAstray(found []postgres.PreparedBoundary) Finding {
	const name = "prepared_astray"
	if len(found) == 0 {
		return Finding{Name: name, Status: OK, Message: "no leftover schemas outside the pool"}
	}
	what := "removed from the pool because they differed, or by hand. This service does not use them. Remove them"
	if slices.ContainsFunc(found, func(b postgres.PreparedBoundary) bool { return b.Unsure }) {
		what = "removed from the pool because they differed or by hand, or in the pool of another service in this " +
			"database. Remove those that are in no pool"
	}
	return Finding{
		Name: name, Status: Warning, Hint: removals(found),
		Message: fmt.Sprintf("%d with the name of a prepared boundary, but not in the pool: %s", len(found), what),
	}
}

// removals are the statements that remove boundaries, one a line.
func removals(found []postgres.PreparedBoundary) string {
	lines := make([]string, len(found))
	for i, b := range found {
		switch lines[i] = b.Remove; {
		case b.Remove != "":
		case b.Unsure:
			lines[i] = "-- " + terminal.Plain(b.Schema) +
				" may be in the pool of another service in this database: run its doctor"
		default:
			lines[i] = "-- " + terminal.Plain(b.Schema) + " is not empty: check its contents before you drop it"
		}
	}
	return strings.Join(lines, "\n")
}
