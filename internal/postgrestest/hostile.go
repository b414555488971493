package postgrestest

import (
	"context"
	_ "embed"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
)

//go:embed hostile.sql
var hostile string

// makeHostile fills schema public of a new database with functions and operators that the program must not call.
func makeHostile(t testing.TB, database *url.URL) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	err := withConn(ctx, database, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, hostile)
		return err
	})
	if err != nil {
		t.Fatalf("postgrestest: %s: %v", database.Path, err)
	}
}
