package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// EventTrigger is an event trigger that is enabled.
type EventTrigger struct {
	Name, Event string
	Function    string // with its arguments, as error contexts name it
}

// Disable returns the SQL that disables the event trigger, for a superuser to run.
func (e EventTrigger) Disable() string { return "ALTER EVENT TRIGGER " + quote(e.Name) + " DISABLE;" }

// Suspects returns those of the event triggers that may be the cause of an error: those whose function it names. nil is
// no error: what was made differs, and each of them may have changed it.
func Suspects(err error, all []EventTrigger) []EventTrigger {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(e EventTrigger) bool {
		return !strings.Contains(server.Where, "function "+e.Function+" ")
	})
}

func (v *ServerInfo) readEventTriggers(ctx context.Context, conn *pgx.Conn, q queries) error {
	rows, err := conn.Query(ctx, q.EventTriggers)
	if err != nil {
		return err
	}
	v.EventTriggers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EventTrigger])
	return err
}
