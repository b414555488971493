package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

func verifyCommand(a *app) *cobra.Command {
	var asJSON, strict bool
	cmd := &cobra.Command{
		Use:   "verify [TENANT…]",
		Short: "Compare tenants with the definition",
		Long: "Compares all tenants, or those that you name, with the definition, as validate_schema does for a new one.\n" +
			"It writes nothing. Exits 0 if all are in order, 1 if one has drifted or could not be read. What can lose or\n" +
			"refuse a row of DocEX is drift. What cannot is a warning: a missing index, a missing default, an added column\n" +
			"that fills itself, and what DocEX or an earlier version makes otherwise. With INIT_SCRIPTS, as the service has\n" +
			"it, tenants are also compared with what the scripts made when the service started last; with\n" +
			"BASE_DEFINITION=none with nothing else.",
		Example: "  consumer tenants verify\n  consumer tenants verify acme --strict",

		ValidArgsFunction: a.completeTenants(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.withReader(cmd.Context(), func(ctx context.Context, c config.Config, r database.Reader) error {
				v := &verification{
					registry: r, workers: c.Concurrency, strict: strict, out: a.Out, summary: a.Out,
					colours: a.Palette(a.Out),
					newBar: func(total int) *progressbar.ProgressBar {
						return a.ProgressBar(total, "verifying", "tenants")
					},
				}
				if asJSON {
					v.encoder, v.summary = json.NewEncoder(a.Out), a.Err
				}
				return v.run(ctx, names)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line for each tenant; the summary goes to stderr")
	cmd.Flags().BoolVar(&strict, "strict", false, "treat warnings as drift")
	return cmd
}

// Results of a comparison.
const (
	inOrder    = "in_order"
	warned     = "warnings"
	drifted    = "drifted"
	unreadable = "unreadable"
)

// verdict is the result of one tenant, in JSON form.
type verdict struct {
	TenantID       string   `json:"tenant_id"`
	Result         string   `json:"result"` // empty: not verified
	SchemaName     string   `json:"schema_name,omitempty"`
	DatabasePath   string   `json:"database_path,omitempty"`
	Tables         int      `json:"tables"`
	Indexes        int      `json:"indexes"`
	Differences    []string `json:"differences,omitempty"` // drift
	Warnings       []string `json:"warnings,omitempty"`
	MissingIndexes []string `json:"missing_indexes,omitempty"`
	// IndexRemedies are SQL to create a missing index, by its name.
	IndexRemedies map[string]string `json:"index_remedies,omitempty"`
	Error         string            `json:"error,omitempty"`
}

// verification compares tenants, several at once, and shows them in order.
type verification struct {
	registry database.Registry
	workers  int
	strict   bool
	out      io.Writer
	summary  io.Writer
	colours  terminal.Palette
	encoder  *json.Encoder // nil: output for people
	newBar   func(total int) *progressbar.ProgressBar
	bar      *progressbar.ProgressBar
	counts   map[string]int
}

// run verifies the named tenants, or all. The output is complete up to the point where it stops: in an outage, the
// first tenant that could not be read, whose state is unknown.
func (v *verification) run(ctx context.Context, names []string) error {
	v.counts = map[string]int{}
	err := v.all(ctx, names)
	if v.bar == nil { // the verification has not begun
		return err
	}
	checked := 0
	for _, n := range v.counts {
		checked += n
	}
	_, writeErr := fmt.Fprintf(v.summary, "checked %d, in order %d, with warnings %d, drifted %d, could not be read %d\n",
		checked, v.counts[inOrder], v.counts[warned], v.counts[drifted], v.counts[unreadable])
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: the summary covers the tenants that were checked until then")
	case err != nil || writeErr != nil:
		return errors.Join(err, writeErr)
	case v.counts[drifted]+v.counts[unreadable] > 0:
		return errSilent
	}
	return nil
}

func (v *verification) all(ctx context.Context, names []string) error {
	if len(names) > 0 {
		rows, err := v.named(ctx, names)
		if err != nil {
			return err
		}
		v.bar = v.newBar(len(rows))
		for page := range slices.Chunk(rows, database.PageSize) {
			if err := v.page(ctx, page); err != nil {
				return err
			}
		}
		return nil
	}
	total, err := v.registry.Count(ctx)
	if err != nil {
		return err
	}
	v.bar = v.newBar(total)
	for page, err := range database.Pages(ctx, v.registry) {
		if err != nil {
			return err
		}
		if err := v.page(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// named looks up all names before the verification begins. It fails if one is not registered.
func (v *verification) named(ctx context.Context, names []string) ([]sql.TenantRow, error) {
	var rows []sql.TenantRow
	var faults []error
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		row, err := findTenant(ctx, v.registry, name)
		if pipeline.IsOutage(err) {
			return nil, err
		}
		faults = append(faults, err)
		rows = append(rows, row)
	}
	return rows, errors.Join(faults...)
}

// page verifies tenants and shows them in order, up to the first that could not be verified.
func (v *verification) page(ctx context.Context, rows []sql.TenantRow) error {
	verdicts := make([]verdict, len(rows))
	workers, working := errgroup.WithContext(ctx)
	workers.SetLimit(v.workers)
	for i, row := range rows {
		workers.Go(func() (err error) {
			if err := working.Err(); err != nil {
				return err
			}
			if verdicts[i], err = v.one(working, row); err != nil {
				return fmt.Errorf("tenant %q: %w", row.ID, err)
			}
			v.bar.Add(1) //nolint:errcheck // a bar is not a result
			return nil
		})
	}
	err := workers.Wait()
	v.bar.Clear() //nolint:errcheck // a bar is not a result
	for _, found := range verdicts {
		if found.Result == "" {
			break
		}
		v.counts[found.Result]++
		if err := v.show(found); err != nil {
			return err
		}
	}
	return err
}

// one verifies a tenant. An error stops the verification: the database is unavailable, or ctx has ended.
func (v *verification) one(ctx context.Context, t sql.TenantRow) (verdict, error) {
	in, err := v.registry.Verify(ctx, t)
	if ctx.Err() != nil {
		return verdict{}, context.Cause(ctx)
	}
	if pipeline.IsOutage(err) {
		return verdict{}, err
	}
	found := verdict{
		TenantID: t.ID, Result: inOrder, SchemaName: t.Boundary.SchemaName, DatabasePath: t.Boundary.DatabasePath,
		Tables: in.Tables, Indexes: in.Indexes,
		Differences: in.Drift(), Warnings: in.Warned(0), MissingIndexes: in.MissingIndexes,
		IndexRemedies: in.IndexRemedies,
	}
	if v.strict {
		found.warningsAreDrift()
	}
	switch {
	case err != nil:
		found.Result, found.Error = unreadable, err.Error()
	case len(found.Differences) > 0:
		found.Result = drifted
	case len(found.Warnings)+len(found.MissingIndexes) > 0:
		found.Result = warned
	}
	return found, nil
}

// warningsAreDrift moves everything that is a warning to the differences.
func (v *verdict) warningsAreDrift() {
	v.Differences = slices.Concat(v.Differences, v.Warnings)
	for _, index := range v.MissingIndexes {
		v.Differences = append(v.Differences, v.missingIndex(index))
	}
	v.Warnings, v.MissingIndexes, v.IndexRemedies = nil, nil, nil
}

func (v *verdict) missingIndex(name string) string {
	return pipeline.Inspection{IndexRemedies: v.IndexRemedies}.MissingIndex(name)
}

// show writes the result of a tenant. Output for people omits tenants that are in order.
func (v *verification) show(found verdict) error {
	if v.encoder != nil {
		return v.encoder.Encode(found)
	}
	marks := map[string]string{
		warned: terminal.MarkWarning, drifted: terminal.MarkFailed, unreadable: terminal.MarkUnknown,
	}
	if found.Result == inOrder {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", v.colours.Mark(marks[found.Result]), terminal.Plain(found.TenantID))
	for _, difference := range found.Differences {
		fmt.Fprintf(&b, "    %s\n", terminal.Plain(difference))
	}
	for _, warning := range found.Warnings {
		fmt.Fprintf(&b, "    warning: %s\n", terminal.Plain(warning))
	}
	for _, index := range found.MissingIndexes {
		fmt.Fprintf(&b, "    warning: %s\n", terminal.Plain(found.missingIndex(index)))
	}
	if found.Error != "" {
		fmt.Fprintf(&b, "    could not be read: %s\n", terminal.Plain(found.Error))
	}
	_, err := io.WriteString(v.out, b.String())
	return err
}
