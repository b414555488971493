package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

func listLettersCommand(a *app) *cobra.Command {
	var f letterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, oldest first",
		Example: "  consumer dead-letters list --since 24h\n" +
			"  consumer dead-letters list --reason BOUNDARY_NOT_EMPTY --json | jq -r .key",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(cmd, time.Now())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			letters, _, end, err := a.openLetters(ctx)
			if err != nil {
				return err
			}
			defer end()
			table := newLetterTable(a, asJSON)
			for letter, err := range letters.All(ctx, filter) {
				if err != nil {
					return err
				}
				if err := table.add(letter); err != nil {
					return err
				}
			}
			return table.end()
		},
	}
	f.define(a, cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// letterTable writes dead letters as a table, or as lines of JSON.
type letterTable struct {
	*app
	lines *json.Encoder // nil: a table
	rows  *terminal.Table
	page  [][]string // rows that are not written yet
	n     int
}

func newLetterTable(a *app, asJSON bool) *letterTable {
	t := &letterTable{app: a, rows: a.List(3, 5, 4, 1)} // STEP, REPLAY, ATTEMPTS, TIME
	if asJSON {
		t.lines = json.NewEncoder(a.Out)
	}
	return t
}

// rowsAtOnce is how many rows the table collects before it aligns and writes them.
const rowsAtOnce = 200

func (t *letterTable) add(l handler.DeadLetter) error {
	t.n++
	if t.lines != nil {
		return t.lines.Encode(newLetterJSON(l))
	}
	if t.n == 1 {
		t.page = append(t.page, []string{"KEY", "TIME", "REASON", "STEP", "ATTEMPTS", "REPLAY", "TENANT", "MESSAGE"})
	}
	t.page = append(t.page, []string{
		shortKey(l.Key), terminal.Time(l.Time), cell(l.Reason, 30), cell(l.Step, 30), strconv.Itoa(l.Attempts),
		strconv.Itoa(l.Replay), cell(l.Tenant, 40), cell(l.Message, 80),
	})
	if len(t.page) < rowsAtOnce {
		return nil
	}
	return t.flush()
}

func (t *letterTable) flush() error {
	page := t.page
	t.page = nil
	return t.rows.Write(page...)
}

func (t *letterTable) end() error {
	if t.n == 0 && t.lines == nil {
		_, err := fmt.Fprintln(t.Out, "no dead letters")
		return err
	}
	return t.flush()
}

// letterJSON is the JSON form of a dead letter.
type letterJSON struct {
	Key      string    `json:"key"`
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"sequence"` // in the stream of dead letters
	Time     time.Time `json:"time"`
	Reason   string    `json:"reason,omitempty"`
	Step     string    `json:"step,omitempty"`
	Message  string    `json:"message,omitempty"`
	Attempts int       `json:"attempts"`
	Replay   int       `json:"replay"`
	Tenant   string    `json:"tenant,omitempty"`
	Original struct {
		Stream   string `json:"stream,omitempty"`
		Sequence uint64 `json:"sequence,omitempty"`
		Subject  string `json:"subject,omitempty"`
		Omitted  bool   `json:"omitted"` // the original is in that stream only
	} `json:"original"`

	Headers nats.Header `json:"headers,omitempty"` // of the original
	Body    []byte      `json:"body_base64,omitempty"`
}

func newLetterJSON(l handler.DeadLetter) letterJSON {
	j := letterJSON{
		Key: l.Key, Subject: events.DeadLetterSubject(l.Key), Sequence: l.Sequence, Time: l.Time,
		Reason: l.Reason, Step: l.Step, Message: l.Message, Attempts: l.Attempts, Replay: l.Replay, Tenant: l.Tenant,
	}
	j.Original.Stream, j.Original.Sequence = l.Stream, l.OriginalSequence
	j.Original.Subject, j.Original.Omitted = l.Subject, l.Omitted
	return j
}
