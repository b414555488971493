package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// compareLimit is how many rows of the ledger and messages of a stream are compared: all of an installation as large
	// as one database is planned for, and a second or two of reading.
	compareLimit = 10_000
	// compareTimeout ends a comparison that takes longer, such as over a slow network.
	compareTimeout = 10 * time.Second
	// mostExamples is how many of what was found a message names.
	mostExamples = 5
)

// reconcileHint names the command that compares everything.
const reconcileHint = "consumer reconcile # changes nothing"

// comparisonCheck is something that the ledger has and the streams lack, or the reverse.
type comparisonCheck struct {
	name, hint  string
	kind        recovery.Kind
	fine, wrong string // the message if nothing was found; what follows the number of what was found
	compared    func(c *recovery.Comparison) string
}

var comparisonChecks = []comparisonCheck{
	{
		name: "outcomes_published", kind: recovery.KindNotPublished,
		hint:  reconcileHint + "\nconsumer reconcile --apply --republish",
		fine:  "no outcome of the ledger is missing in stream TENANT_EVENTS",
		wrong: "outcomes of the ledger are not in stream TENANT_EVENTS",
		compared: func(c *recovery.Comparison) string {
			if c.Partial {
				return fmt.Sprintf("%d, of the newest; the stream has %d", c.Outcomes, c.Stored)
			}
			return fmt.Sprint(c.Outcomes)
		},
	},
	{
		name: "dead_letters_missing", kind: recovery.KindDeadLetterMissing,
		hint:  reconcileHint + "\nconsumer reconcile --apply",
		fine:  "stream TENANT_DEAD_LETTERS has lost none",
		wrong: "failed requests have lost their dead letter in stream TENANT_DEAD_LETTERS",
		compared: func(c *recovery.Comparison) string {
			if c.Partial {
				return fmt.Sprintf("%d failed requests, of the newest %d requests", c.Failures, compareLimit)
			}
			return fmt.Sprintf("%d failed requests", c.Failures)
		},
	},
	{
		name: "requests_running", kind: recovery.KindRequestMissing,
		hint: reconcileHint + "; shows which requests their publishers must send again",
		fine: "every running request has its message",
		wrong: "requests are running in the ledger, without progress for longer than ACK_WAIT, and stream TENANT_REQUESTS " +
			"has no message from which they would go on",
		compared: func(c *recovery.Comparison) string { return fmt.Sprintf("%d running requests", c.Running) },
	},
	{
		name: "boundaries_unregistered", kind: recovery.KindUnknownBoundary,
		hint:  reconcileHint + "; lists all of them. Inspect one before you remove it",
		fine:  "every boundary is a tenant's",
		wrong: "boundaries belong to no registered tenant and to no published outcome; a request for such a tenant fails",
		compared: func(c *recovery.Comparison) string {
			if c.Partial {
				return fmt.Sprintf("%d boundaries, with the registry and the newest outcomes", c.Boundaries)
			}
			return fmt.Sprintf("%d boundaries, with registry and outcomes", c.Boundaries)
		},
	},
}

// compareStreams compares ledger and boundaries with the streams, as far as it is quick.
func (n *prober) compareStreams(ctx context.Context, r database.Reader) (checks []Finding) {
	var found recovery.Comparison
	err := n.requestWithin(ctx, compareTimeout, func(ctx context.Context) (err error) {
		found, err = recovery.Comparer{
			Config: n.c, JetStream: n.js, Database: r, Now: n.now(), Limit: compareLimit, Most: mostNamed,
		}.Compare(ctx)
		return err
	})
	if errors.Is(err, sql.ErrNoLedger) { // the checks of the registry report it
		return nil
	}
	for _, check := range comparisonChecks {
		if err != nil {
			checks = append(checks, unreadableComparison(check.name, err))
			continue
		}
		checks = append(checks, check.judge(&found))
	}
	return checks
}

func unreadableComparison(name string, err error) Finding {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unreadableByUser(name, "consumer reconcile # compares everything, changes nothing",
			fmt.Errorf("not compared within %s: %w", compareTimeout, err))
	case pipeline.IsOutage(err):
		return unreadable(name, err)
	}
	return unreadableByUser(name, "run doctor as a user and a role that may read both", err)
}

func (check *comparisonCheck) judge(c *recovery.Comparison) Finding {
	compared := "compared: " + check.compared(c)
	if c.Undecided > 0 && check.kind != recovery.KindUnknownBoundary {
		compared += fmt.Sprintf("; not compared: %d, because more than %d requests follow the oldest that is not settled",
			c.Undecided, compareLimit)
	}
	count, examples := 0, []string(nil)
	for _, f := range c.Findings {
		if f.Kind != check.kind {
			continue
		}
		if count++; count <= mostExamples {
			examples = append(examples, subjectOf(f))
		}
	}
	if count == 0 {
		return ok(check.name, "%s; %s", check.fine, compared)
	}
	if count > mostExamples {
		examples = append(examples, "…")
	}
	return warning(check.name, check.hint, "%s %s: %s; %s", countOrMore(count), check.wrong, strings.Join(examples, ", "),
		compared)
}

// subjectOf names what a finding is about.
func subjectOf(f recovery.Finding) string {
	switch {
	case f.Boundary != "":
		return terminal.Plain(f.Boundary)
	case f.Tenant != "":
		return "tenant " + terminal.Plain(f.Tenant)
	}
	return "request " + events.Quote(f.Request.ID)
}
