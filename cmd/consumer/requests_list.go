package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

// requestsPage is how many requests are read at a time.
const requestsPage = 1000

// requestStates are the states of a request in the ledger.
var requestStates = []string{"running", "provisioned", "failed"}

func requestsListCommand(a *app) *cobra.Command {
	var (
		f      sql.RequestFilter
		since  string
		limit  int
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests, the latest first",
		Long: "Lists the requests of the ledger, the latest first. A cause is that of a failure or, while a request is\n" +
			"running, the code of the database's last error.",
		Example: "  consumer requests list --state failed --since 24h\n" +
			"  consumer requests list --tenant acme --json --limit 1000 | jq -r .id",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.State != "" && !slices.Contains(requestStates, f.State) {
				return usageError(fmt.Errorf("--state: %q is not one of %s", f.State, strings.Join(requestStates, ", ")))
			}
			if limit < 1 {
				return usageError(fmt.Errorf("--limit %d is not a positive number", limit))
			}
			if since != "" {
				if f.Since, err = parseSince(since, time.Now()); err != nil {
					return err
				}
			}
			return a.withReader(cmd.Context(), func(ctx context.Context, _ config.Config, r database.Reader) error {
				return a.listRequests(ctx, r, f, limit, asJSON)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.State, "state", "", "only requests in this state: "+strings.Join(requestStates, ", "))
	flags.StringVar(&f.TenantID, "tenant", "", "only requests for this tenant id")
	flags.StringVar(&f.Source, "source", "", "only requests from this CloudEvents source")
	flags.StringVar(&f.Cause, "cause", "", "only requests whose last error has this code, such as TENANT_EXISTS")
	flags.StringVar(&since, "since", "", "only requests since: a duration such as 24h, or an RFC 3339 time")
	flags.IntVar(&limit, "limit", 50, "list at most this many")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	completeFlag(cmd, "state", cobra.FixedCompletions(requestStates, noFiles))
	completeFlag(cmd, "tenant", a.completeTenants(0))
	var causes []cobra.Completion
	for _, code := range events.CauseCodes() {
		causes = append(causes, string(code))
	}
	completeFlag(cmd, "cause", cobra.FixedCompletions(causes, noFiles))
	return cmd
}

func (a *app) listRequests(
	ctx context.Context, l database.Ledger, f sql.RequestFilter, limit int, asJSON bool,
) error {
	encoder := json.NewEncoder(a.Out)
	rows := a.List(4, 5, 6) // REPLAY, ATTEMPTS, CREATED
	lines := [][]string{{"SOURCE", "ID", "TENANT", "STATE", "REPLAY", "ATTEMPTS", "CREATED", "CAUSE"}}
	for listed := 0; listed < limit; {
		page, err := l.Requests(ctx, f, min(limit-listed, requestsPage))
		if err != nil {
			return err
		}
		for _, r := range page {
			if asJSON {
				if err := encoder.Encode(viewRequest(r)); err != nil {
					return err
				}
				continue
			}
			lines = append(lines, []string{
				terminal.Plain(r.Source), terminal.Plain(r.ID), cell(r.TenantID, 60), r.State, strconv.Itoa(r.Replay),
				strconv.Itoa(r.Attempts), terminal.Time(r.CreatedAt), r.LastCause,
			})
		}
		if !asJSON {
			if err := rows.Write(lines...); err != nil {
				return err
			}
			lines = nil
		}
		if listed += len(page); len(page) < requestsPage {
			return nil
		}
		f.Last = page[len(page)-1]
	}
	return nil
}
