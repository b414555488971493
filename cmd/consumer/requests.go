package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

func requestsCommand(a *app) *cobra.Command {
	return group("requests", "Read and prune the ledger of requests", requestsListCommand(a), requestsShowCommand(a),
		requestsPruneCommand(a))
}

func requestsShowCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show SOURCE ID",
		Short: "Show a request's state and its history, attempt by attempt",
		Long: "Shows the ledger's row of a request, by the source and id of its event, and its history: attempts, replays\n" +
			"and why they ended. It also shows whether TENANT_DEAD_LETTERS still has the dead letter, if NATS can be\n" +
			"reached. Only --json shows the outcome event itself.",
		Example: "  consumer requests show /billing order-1",
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withReader(cmd.Context(), func(ctx context.Context, c config.Config, r database.Reader) error {
				return a.showRequest(ctx, c, r, args[0], args[1], asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with the outcome event")
	return cmd
}

// requestView is the JSON form of a row of the ledger.
type requestView struct {
	Key                 string          `json:"key"`
	Source              string          `json:"source"`
	ID                  string          `json:"id"`
	TenantID            string          `json:"tenant_id,omitempty"`
	State               string          `json:"state"`
	Replay              int             `json:"replay"`
	Attempts            int             `json:"attempts"`
	LastStep            string          `json:"last_step,omitempty"`
	LastCause           string          `json:"last_cause,omitempty"`
	LastError           string          `json:"last_error,omitempty"`
	CreatedAt           time.Time       `json:"created_at,omitzero"`
	UpdatedAt           time.Time       `json:"updated_at,omitzero"`
	OutcomeID           string          `json:"outcome_id,omitempty"`
	OutcomeType         string          `json:"outcome_type,omitempty"`
	DeadLetterConfirmed bool            `json:"dead_letter_confirmed"`
	DeadLetterStream    string          `json:"dead_letter_stream_created,omitempty"`
	DeadLetter          *deadLetterView `json:"dead_letter,omitempty"` // of requests show
	Outcome             json.RawMessage `json:"outcome,omitempty"`
	History             []turnView      `json:"history,omitempty"`
}

type turnView struct {
	At      time.Time `json:"at,omitzero"`
	Event   string    `json:"event"`
	Replay  int       `json:"replay"`
	Attempt int       `json:"attempt"`
	Step    string    `json:"step,omitempty"`
	Cause   string    `json:"cause,omitempty"`
	Error   string    `json:"error,omitempty"`
}

func viewRequest(r sql.RequestRecord) requestView {
	view := requestView{
		Key: r.Key, Source: r.Source, ID: r.ID, TenantID: r.TenantID, State: r.State, Replay: r.Replay,
		Attempts: r.Attempts, LastStep: r.LastStep, LastCause: r.LastCause, LastError: r.LastError,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, OutcomeID: r.OutcomeID, OutcomeType: outcomeType(r),
		DeadLetterConfirmed: r.DeadLetterConfirmed, Outcome: r.Outcome,
	}
	if r.DeadLetterConfirmed {
		view.DeadLetterStream = r.DeadLetterStream
	}
	for _, turn := range r.History {
		view.History = append(view.History, turnView(turn))
	}
	return view
}

// outcomeType is the type of the outcome that the row holds, or "".
func outcomeType(r sql.RequestRecord) string {
	switch r.State {
	case "provisioned":
		return events.TypeProvisioned
	case "failed":
		return events.TypeProvisioningFailed
	}
	return ""
}

func (a *app) showRequest(
	ctx context.Context, c config.Config, l database.Ledger, source, id string, asJSON bool,
) error {
	r, err := l.Request(ctx, events.RequestKey(source, id))
	switch {
	case errors.Is(err, sql.ErrNotFound):
		return fmt.Errorf("the ledger has no request with source %q and id %q: either the service has not taken it yet, "+
			"or it could not be decoded and has a dead letter; see: consumer dead-letters list", source, id)
	case err != nil:
		return err
	}
	letter := findDeadLetter(ctx, c, r.Key)
	if asJSON {
		view := viewRequest(r)
		view.DeadLetter = &letter
		return json.NewEncoder(a.Out).Encode(view)
	}
	outcome := "none yet"
	if r.OutcomeID != "" {
		outcome = r.OutcomeID + " " + outcomeType(r)
	}
	facts := [][]string{
		{"source", terminal.Plain(r.Source)},
		{"id", terminal.Plain(r.ID)},
		{"key", r.Key},
		{"tenant", cmp.Or(r.TenantID, "none that is valid")},
		{"state", r.State},
		{"replay", strconv.Itoa(r.Replay)},
		{"attempts", strconv.Itoa(r.Attempts)},
	}
	for _, last := range [][]string{{"last step", r.LastStep}, {"last cause", r.LastCause}, {"last error", r.LastError}} {
		if last[1] != "" {
			facts = append(facts, []string{last[0], terminal.Plain(last[1])})
		}
	}
	facts = append(facts, [][]string{
		{"created", terminal.Time(r.CreatedAt)},
		{"updated", terminal.Time(r.UpdatedAt)},
		{"outcome", outcome},
		{"dead letter", describeDeadLetter(r, letter)},
	}...)
	if err := (&terminal.Table{W: a.Out}).Write(facts...); err != nil {
		return err
	}
	return a.showHistory(r.History)
}

func (a *app) showHistory(turns []sql.HistoryEntry) error {
	if _, err := fmt.Fprintln(a.Out, "history"); err != nil {
		return err
	}
	lines := [][]string{{"AT", "EVENT", "REPLAY", "ATTEMPT", "STEP", "CAUSE", "ERROR"}}
	for _, turn := range turns {
		lines = append(lines, []string{
			terminal.TimeMillis(turn.At), terminal.Plain(turn.Event), strconv.Itoa(turn.Replay), strconv.Itoa(turn.Attempt),
			orNothing(turn.Step), orNothing(turn.Cause), orNothing(turn.Error),
		})
	}
	rows := a.List()
	rows.Indent = "  "
	rows.Columns = 0 // do not cut the errors: they are what the operator needs
	return rows.Write(lines...)
}

// orNothing is [terminal.Plain], but an empty text stays empty.
func orNothing(text string) string {
	if text == "" {
		return ""
	}
	return terminal.Plain(text)
}
