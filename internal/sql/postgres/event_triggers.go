package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// EventTrigger is an event trigger that is enabled.
type EventTrigger struct {
	Name, Event string
}

func (v *ServerInfo) readEventTriggers(ctx context.Context, conn *pgx.Conn, q queries) error {
	rows, err := conn.Query(ctx, q.EventTriggers)
	if err != nil {
		return err
	}
	v.EventTriggers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EventTrigger])
	return err
}
