package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// MaxShared is the maximum number of shared schemas that are read for a [Neighbour].
const MaxShared = 100

// Neighbour is another registry in the same database.
type Neighbour struct {
	Schema   string
	Readable bool     // by this role; otherwise less is known
	Shared   []string // schemas registered in both registries, at most MaxShared
	Meets    string   // one of its schemas whose name SCHEMA_TEMPLATE can give; empty: none is known
}

// readNeighbours reads the other registries in this database.
func readNeighbours(
	ctx context.Context, conn *pgx.Conn, q queries, registry string, names sql.SchemaTemplate, readable bool,
) (found []Neighbour, err error) {
	rows, err := conn.Query(ctx, q.Registries, registry)
	if err != nil {
		return nil, err
	}
	others, err := pgx.CollectRows(rows, pgx.RowToStructByPos[otherRegistry])
	if err != nil {
		return nil, err
	}
	prefix, suffix := names.Affixes()
	for _, other := range others {
		n := Neighbour{Schema: other.Schema, Readable: other.Readable}
		batch := &pgx.Batch{}
		switch id := stampOf(other.Comment); {
		case n.Readable:
			batch.Queue(render(q.MeetingSchema, "neighbour", n.Schema), prefix, suffix, n.Schema).
				QueryRow(scanOptional(&n.Meets))
		case id != "":
			batch.Queue(q.MeetingStamped, prefix, suffix, n.Schema, stampPrefix+id).QueryRow(scanOptional(&n.Meets))
		}
		if n.Readable && readable {
			batch.Queue(render(q.SharedSchemas, "neighbour", n.Schema), MaxShared).Query(func(rows pgx.Rows) (err error) {
				n.Shared, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
		}
		if err := conn.SendBatch(ctx, batch).Close(); err != nil {
			return nil, fmt.Errorf("read the registry in schema %s: %w", n.Schema, err)
		}
		found = append(found, n)
	}
	return found, nil
}
