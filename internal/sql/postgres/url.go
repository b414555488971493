package postgres

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// urlForm is the expected form of DATABASE_URL, with the escapes that passwords need.
const urlForm = "postgres://user:password@host:port/database; in names and passwords write @ as %40, / as %2F, " +
	"a space as %20 and % as %25"

// scheme matches the beginning of a URL of PostgreSQL. SQLAlchemy adds the name of a driver to it: postgresql+psycopg.
var scheme = regexp.MustCompile(`^postgres(ql)?(\+\w+)?://`)

// IsURL reports whether DATABASE_URL is a URL of PostgreSQL.
func IsURL(raw string) bool { return scheme.MatchString(raw) }

// driverURL returns the URL with a scheme that the driver knows.
func driverURL(raw string) string { return scheme.ReplaceAllLiteralString(raw, "postgres://") }

// withURLForm adds the expected form to an error of the driver's parser.
func withURLForm(err error) error {
	var parsing *pgconn.ParseConfigError
	if errors.As(err, &parsing) {
		return fmt.Errorf("%w; want %s", err, urlForm)
	}
	return err
}

// unambiguous reports whether the driver reads a URL as intended. The driver takes everything after the first @ of a
// password as a host, and everything after a / as a database; both are shown in errors.
func unambiguous(raw string) bool {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		return true // keyword form: host=… user=…
	}
	authority, _, _ := strings.Cut(rest, "/")
	if _, host, found := strings.Cut(authority, "@"); found {
		rest = rest[len(authority)-len(host):]
	}
	where, _, _ := strings.Cut(rest, "?")
	return !strings.Contains(where, "@")
}

// parameter returns a parameter of the URL or, where the URL does not have it, the environment variable of libpq, and
// which of them it is.
func (c Config) parameter(name, variable string) (value, from string) {
	for key, text := range c.query() {
		if key == name {
			value, from = text, "DATABASE_URL: parameter "+name // the last one counts
		}
	}
	if from == "" {
		value, from = os.Getenv(variable), variable
	}
	return value, from
}

// query returns the parameters of the URL in their order. The driver refuses those that cannot be unescaped.
func (c Config) query() iter.Seq2[string, string] {
	_, rest, _ := strings.Cut(c.URL, "://")
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	_, query, _ := strings.Cut(rest, "?")
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			name, errName := url.PathUnescape(name)
			value, errValue := url.PathUnescape(value)
			if name != "" && errName == nil && errValue == nil && !yield(name, value) {
				return
			}
		}
	}
}
