package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// An error of the server is explained in full, however it is wrapped.
func TestDetails(t *testing.T) {
	t.Parallel()
	server := &pgconn.PgError{Code: "P0001", Message: "no", Detail: "a", Hint: "b", Where: "c"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("create schema: %w", classify(server)), "; DETAIL: a; HINT: b; CONTEXT: c"},
		{&pgconn.PgError{Hint: "b"}, "; HINT: b"},
		{&pgconn.PgError{Where: "1\n2\n3\n4\n5\n6\n7"}, "; CONTEXT: 1\n2\n3\n4\n5\n(and 2 lines more)"},
		{&pgconn.PgError{Message: "no"}, ""},
		{errors.New("no"), ""},
	} {
		if got := Details(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
