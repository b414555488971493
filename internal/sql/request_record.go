package sql

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrNoLedger means that requests cannot be read. Registries created by DocEX have no ledger.
var ErrNoLedger = errors.New("the registry has no ledger of requests, or one of an earlier version: start the " +
	"service once, which creates and migrates it")

// ErrNotMigrated means that the service has yet to migrate the registry, which it does when it starts.
var ErrNotMigrated = errors.New("the registry is of an earlier version; the service migrates it when it starts")

// RequestRecord is a request as stored in the ledger, for display.
type RequestRecord struct {
	Key                 string // also the key of its dead letter
	Source              string
	ID                  string
	TenantID            string // empty if the requested id is invalid
	State               string // running, provisioned or failed
	Replay              int
	Attempts            int
	LastStep            string
	LastCause           string // a cause code; while running, it may be a code of the database
	LastError           string
	CreatedAt           time.Time
	UpdatedAt           time.Time
	OutcomeID           string          // empty while running
	Outcome             json.RawMessage // the event; nil while running
	DeadLetterConfirmed bool            // the dead letter of this failure is confirmed
	DeadLetterStream    string          // in which; see [pipeline.Outcome]
	History             []HistoryEntry  // the latest hundred, oldest first
}

// RequestFilter selects requests. Of each text, an empty one selects all.
type RequestFilter struct {
	TenantID, State, Source, Cause string
	Since                          time.Time // created at it or later; zero: all
	// Last is the last request of the page before this one; its zero value: this is the first page.
	Last RequestRecord
}

// Bounds are the times of creation between which requests are selected, the second one not included.
func (f *RequestFilter) Bounds() (since, before time.Time) {
	since, before = f.Since, f.Last.CreatedAt
	if since.IsZero() {
		since = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if before.IsZero() {
		before = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return since.UTC(), before.UTC()
}

// HistoryEntry is one entry of a request's history.
type HistoryEntry struct {
	At      time.Time
	Event   string // begun, retry, refunded, provisioned, failed or restored
	Replay  int
	Attempt int
	Step    string
	Cause   string
	Error   string
}

// Scan reads a row as each engine's record.sql and records.sql select it.
func (r *RequestRecord) Scan(row interface{ Scan(dest ...any) error }) error {
	var outcome, history string
	err := row.Scan(&r.Key, &r.Source, &r.ID, &r.TenantID, &r.State, &r.Replay, &r.Attempts,
		&r.LastStep, &r.LastCause, &r.LastError, (*utc)(&r.CreatedAt), (*utc)(&r.UpdatedAt),
		&r.OutcomeID, &outcome, &r.DeadLetterConfirmed, &r.DeadLetterStream, &history)
	if err != nil {
		return err
	}
	if outcome != "" {
		r.Outcome = json.RawMessage(outcome)
	}
	if err := json.Unmarshal([]byte(history), &r.History); err != nil {
		return fmt.Errorf("the history of request %s: %w", r.Key, err)
	}
	return nil
}

// UnmarshalJSON reads an entry. Its time is in UTC without a zone, which encoding/json would reject.
func (t *HistoryEntry) UnmarshalJSON(text []byte) error {
	type plain HistoryEntry
	entry := struct {
		*plain
		At string
	}{plain: (*plain)(t)}
	if err := json.Unmarshal(text, &entry); err != nil {
		return err
	}
	t.At = parseUTC(entry.At)
	return nil
}
