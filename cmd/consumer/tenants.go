package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// requestsShown is how many of a tenant's requests are shown, the latest first.
const requestsShown = 20

func tenantsCommand(a *app) *cobra.Command {
	return group("tenants", "Read and verify the registry", tenantsListCommand(a), tenantsShowCommand(a), verifyCommand(a))
}

// tenantFilter selects tenants. Of each text, an empty one selects all.
type tenantFilter struct {
	search, strategy, createdBy, plan string

	since time.Time
}

// selects reports whether the tenant is one of the selected.
func (f *tenantFilter) selects(t sql.TenantRow) bool {
	text := strings.ToLower(t.ID + "\n" + t.DisplayName)
	return strings.Contains(text, strings.ToLower(f.search)) &&
		(f.strategy == "" || t.IsolationStrategy == f.strategy) &&
		(f.createdBy == "" || t.CreatedBy == f.createdBy) &&
		(f.plan == "" || t.Plan.Name == f.plan) && !t.CreatedAt.Before(f.since)
}

func tenantsListCommand(a *app) *cobra.Command {
	var (
		f      tenantFilter
		since  string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered tenants",
		Example: "  consumer tenants list\n  consumer tenants list --search acme --since 24h\n" +
			"  consumer tenants list --json | jq -r .tenant_id",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if since != "" {
				if f.since, err = parseSince(since, time.Now()); err != nil {
					return err
				}
			}
			return a.withReader(cmd.Context(), func(ctx context.Context, _ config.Config, r database.Reader) error {
				return a.listTenants(ctx, r, f, asJSON)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.search, "search", "", "only tenants whose id or display name contains this text, in any case")
	flags.StringVar(&f.strategy, "strategy", "", "only tenants with this isolation strategy: schema or database")
	flags.StringVar(&f.createdBy, "created-by", "", "only tenants that this person or system has requested")
	flags.StringVar(&f.plan, "plan", "", "only tenants with this plan")
	flags.StringVar(&since, "since", "", "only tenants created since: a duration such as 24h, or an RFC 3339 time")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	completeFlag(cmd, "strategy",
		cobra.FixedCompletions([]cobra.Completion{events.IsolationSchema, events.IsolationDatabase}, noFiles))
	return cmd
}

func tenantsShowCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show TENANT",
		Short:   "Show a tenant and its requests",
		Example: "  consumer tenants show acme",
		Args:    exactly(1),

		ValidArgsFunction: a.completeTenants(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withReader(cmd.Context(), func(ctx context.Context, _ config.Config, r database.Reader) error {
				return a.showTenant(ctx, r, args[0], asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// withReader opens the configured database for reading while fn runs.
func (a *app) withReader(
	ctx context.Context, fn func(context.Context, config.Config, database.Reader) error,
) (err error) {
	c, _, err := a.configure(ctx)
	if err != nil {
		return err
	}
	r, err := database.OpenReader(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return fn(ctx, c, r)
}

// tenantView is the JSON form of a row of the registry.
type tenantView struct {
	TenantID          string            `json:"tenant_id"`
	DisplayName       string            `json:"display_name"`
	IsSystem          bool              `json:"is_system"`
	IsolationStrategy string            `json:"isolation_strategy"`
	SchemaName        string            `json:"schema_name,omitempty"`
	DatabasePath      string            `json:"database_path,omitempty"`
	Plan              string            `json:"plan,omitempty"`
	PlanLimits        events.PlanLimits `json:"plan_limits,omitzero"`
	Definition        string            `json:"definition,omitempty"`
	CreatedAt         time.Time         `json:"created_at,omitzero"`
	CreatedBy         string            `json:"created_by"`
	LastUpdatedAt     time.Time         `json:"last_updated_at,omitzero"`
	LastUpdatedBy     string            `json:"last_updated_by,omitempty"`
	Requests          []requestView     `json:"requests,omitempty"`
}

func viewTenant(t sql.TenantRow) tenantView {
	return tenantView{
		TenantID: t.ID, DisplayName: t.DisplayName, IsSystem: t.System, IsolationStrategy: t.IsolationStrategy,
		SchemaName: t.Boundary.SchemaName, DatabasePath: t.Boundary.DatabasePath,
		Plan: t.Plan.Name, PlanLimits: t.Plan.Limits, Definition: t.Definition,
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, LastUpdatedAt: t.UpdatedAt, LastUpdatedBy: t.UpdatedBy,
	}
}

// planName formats the name of a plan for people.
func planName(name string) string {
	if name == "" {
		return "-"
	}
	return terminal.Plain(name)
}

// planWithLimits formats a plan for people, with its limits.
func planWithLimits(name string, limits events.PlanLimits) string {
	var parts []string
	if limits.MaxBytes > 0 {
		parts = append(parts, fmt.Sprintf("max_bytes %d", limits.MaxBytes))
	}
	if limits.MaxRows > 0 {
		parts = append(parts, fmt.Sprintf("max_rows %d", limits.MaxRows))
	}
	if len(parts) == 0 {
		return planName(name)
	}
	return planName(name) + ": " + strings.Join(parts, ", ")
}

// boundary formats the registered schema or file for people.
func boundary(t sql.TenantRow) string {
	if name := cmp.Or(t.Boundary.SchemaName, t.Boundary.DatabasePath); name != "" {
		return terminal.Plain(name)
	}
	return "-"
}

func (a *app) listTenants(ctx context.Context, r database.Registry, f tenantFilter, asJSON bool) error {
	encoder := json.NewEncoder(a.Out)
	rows := a.List(1, 5, 4, 3) // STRATEGY, CREATED BY, CREATED, PLAN
	lines := [][]string{{"TENANT", "STRATEGY", "SCHEMA OR FILE", "PLAN", "CREATED", "CREATED BY", "DISPLAY NAME"}}
	for page, err := range database.Pages(ctx, r) {
		if err != nil {
			return err
		}
		for _, t := range page {
			if !f.selects(t) {
				continue
			}
			if asJSON {
				if err := encoder.Encode(viewTenant(t)); err != nil {
					return err
				}
				continue
			}
			id := terminal.Plain(t.ID)
			if t.System {
				id += " (system)"
			}
			lines = append(lines, []string{
				id, terminal.Plain(t.IsolationStrategy), boundary(t), planName(t.Plan.Name),
				terminal.Time(t.CreatedAt), terminal.Plain(t.CreatedBy), terminal.Plain(t.DisplayName),
			})
		}
		if asJSON {
			continue
		}
		if err := rows.Write(lines...); err != nil {
			return err
		}
		lines = nil
	}
	return nil
}

func (a *app) showTenant(ctx context.Context, r database.Reader, id string, asJSON bool) error {
	t, err := findTenant(ctx, r, id)
	if err != nil {
		return err
	}
	requests, err := r.Requests(ctx, sql.RequestFilter{TenantID: t.ID}, requestsShown)
	if err != nil && !errors.Is(err, sql.ErrNoLedger) { // a registry that DocEX created has none
		return err
	}
	if asJSON {
		view := viewTenant(t)
		for _, request := range requests {
			view.Requests = append(view.Requests, viewRequest(request))
		}
		return json.NewEncoder(a.Out).Encode(view)
	}
	facts := &terminal.Table{W: a.Out}
	err = facts.Write([][]string{
		{"tenant", terminal.Plain(t.ID)},
		{"display name", terminal.Plain(t.DisplayName)},
		{"system", strconv.FormatBool(t.System)},
		{"strategy", terminal.Plain(t.IsolationStrategy)},
		{"schema or file", boundary(t)},
		{"plan", planWithLimits(t.Plan.Name, t.Plan.Limits)},
		{"definition", cmp.Or(terminal.Plain(t.Definition), "-")},
		{"created", terminal.By(t.CreatedAt, t.CreatedBy)},
		{"last updated", terminal.By(t.UpdatedAt, t.UpdatedBy)},
	}...)
	if err != nil || len(requests) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(a.Out, "requests, the latest first"); err != nil {
		return err
	}
	lines := [][]string{{"SOURCE", "ID", "STATE", "REPLAY", "ATTEMPTS", "CREATED", "CAUSE"}}
	for _, request := range requests {
		lines = append(lines, []string{
			terminal.Plain(request.Source), terminal.Plain(request.ID), request.State, strconv.Itoa(request.Replay),
			strconv.Itoa(request.Attempts), terminal.Time(request.CreatedAt), request.LastCause,
		})
	}
	rows := a.List(3, 5) // REPLAY, CREATED
	rows.Indent = "  "
	return rows.Write(lines...)
}

// findTenant returns the row of a tenant. Where only an id in another case is registered, the error names it.
func findTenant(ctx context.Context, r database.Registry, id string) (sql.TenantRow, error) {
	t, err := r.Tenant(ctx, id)
	switch {
	case errors.Is(err, sql.ErrNotFound):
		return t, fmt.Errorf("no tenant %q is registered; see: consumer tenants list", id)
	case err == nil && t.ID != id:
		return t, fmt.Errorf("no tenant %q is registered; it differs only in case from %q, which is", id, t.ID)
	}
	return t, err
}
