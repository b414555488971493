package faults

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Every code has a row, so that a maintainer classifies the new codes of an upgrade.
func TestEveryCodeHasARow(t *testing.T) {
	t.Parallel()
	missing := func(what any) { t.Errorf("%v has no row in the table", what) }

	// The classes of PostgreSQL 18, appendix A, and those of earlier versions.
	for _, class := range strings.Fields("00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B " +
		"3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX") {
		if _, ok := BySQLState(class + "000"); !ok {
			missing("SQLSTATE class " + class)
		}
	}
	// Primary result codes have no gaps: https://www.sqlite.org/rescode.html
	for code := range 29 {
		if _, ok := BySQLite(code); !ok {
			missing(fmt.Sprint("SQLite ", code))
		}
	}
	for number := range syscall.Errno(134) {
		if name := unix.ErrnoName(number); name != "" {
			if _, ok := ByErrno(&fs.PathError{Op: "open", Path: "x", Err: number}); !ok {
				missing(name)
			}
		}
	}
	for _, api := range server.ApiErrors {
		if _, ok := find(JetStream, strconv.Itoa(int(api.ErrCode)), strconv.Itoa(api.Code)); !ok {
			missing(fmt.Sprint("JetStream ", api.ErrCode, " ", api.Description))
		}
	}
	for _, text := range clientErrors(t) {
		if text = strings.TrimPrefix(text, "nats: "); text == "" {
			continue
		}
		if _, ok := find(Client, text); !ok && !slices.Contains(notOfPublications, text) {
			missing("NATS: " + text)
		}
	}
}

// clientErrors returns the texts of all errors that the client library declares, except those that represent an error
// of the server.
func clientErrors(t *testing.T) (texts []string) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/nats-io/nats.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(dir))
	for _, file := range []string{"nats.go", "jetstream/errors.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
				return true
			}
			isAPI := false
			ast.Inspect(spec, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					isAPI = isAPI || n.Name == "APIError"
				case *ast.BasicLit:
					if n.Kind == token.STRING && !isAPI {
						text, err := strconv.Unquote(n.Value)
						if err != nil {
							t.Fatal(err)
						}
						if text != "" {
							texts = append(texts, text)
						}
					}
				}
				return true
			})
			return false
		})
	}
	if len(texts) < 100 {
		t.Fatalf("only %d errors were found", len(texts))
	}
	return texts
}

// notOfPublications are errors of the client library that no publication can cause.
var notOfPublications = []string{
	"TTL is not supported on delete", "an object already exists with that name",
	"argument needs to be a channel type", "at least one of certCB or rootCAsCB must be set", "batch completed",
	"bucket malformed", "bucket name already in use", "bucket not found", "bucket not valid key-value store",
	"bucket required", "cannot run concurrent processing using ordered consumer",
	"cannot set user info callback and user/pass", "cannot update meta for a deleted object",
	"client ID not supported by this server", "client IP not supported by this server", "config required",
	"connect message, json parse error", "consumer creation response is empty", "consumer deleted",
	"consumer has active subscription", "consumer instance not yet created", "consumer is already consuming",
	"consumer is not a pull consumer", "consumer is not a push consumer", "consumer name already in use",
	"consumer reset response is empty", "context requires a deadline", "end of data reached",
	"handler cannot be empty", "history limited to a max of 64", "illegal call on an async subscription",
	"invalid Get, object is a link to a bucket", "invalid argument", "invalid bucket name", "invalid connection",
	"invalid consumer name", "invalid context", "invalid jetstream option", "invalid key",
	"invalid object-store name", "invalid queue name", "invalid stream name", "invalid subscription",
	"invalid subscription type", "jetstream context closed", "key not found", "key revision mismatch",
	"key was deleted", "limit marker TTLs not supported by server",
	"link cannot be set when putting the object in bucket", "maximum messages delivered",
	"message deletion unsuccessful", "message does not have a reply",
	"message is not bound to subscription/connection", "message size exceeds max bytes",
	"message was already acknowledged", "messages iterator closed",
	"mixing of websocket and non websocket URLs is not allowed",
	"multiple consumer filter subjects not supported by nats-server", "multiple tls.Configs not allowed",
	"name is required", "nkey defined without a signature handler", "nkeys not supported by the server",
	"no echo option not supported by this server", "no keys found", "no messages", "no objects found",
	"not a jetstream message", "not allowed to link to a deleted object", "not allowed to link to another link",
	"object digest hash has invalid format", "object not found", "object required", "object-store config required",
	"object-store meta information invalid", "ordered consumer initialized as consume",
	"ordered consumer initialized as fetch", "pin ID mismatch", "received a corrupt object, digests do not match",
	"recreating ordered consumer", "reply subject should be empty", "selected server is not in the pool",
	"server maximum subscriptions exceeded", "server shutdown",
	"stalled with too many outstanding async published messages", "stream name is required",
	"stream sourcing is not supported by nats-server",
	"stream sourcing with multiple subject filters not supported by nats-server",
	"stream subject transformation not supported by nats-server", "timeout invalid", "timeout waiting for ack",
	"token and token handler both set", "user callback and nkey defined",
	"user callback defined without a signature handler", "user callback not defined",
	"websocket connection headers already set",
}

// No code has two meanings.
func TestEachCodeHasOneRow(t *testing.T) {
	t.Parallel()
	seen := map[key]string{}
	for _, row := range Table {
		for _, code := range row.Codes {
			if other, twice := seen[key{row.Family, code}]; twice {
				t.Errorf("%s %s is in two rows: %q and %q", row.Family, code, other, row.What)
			}
			seen[key{row.Family, code}] = row.What
		}
	}
}

// An error that fails a request has a cause code. An error in what all requests share fails none, unless the request's
// own content causes it.
func TestMeanings(t *testing.T) {
	t.Parallel()
	for _, row := range Table {
		ofDatabase := row.Family != Client && row.Family != JetStream
		for _, m := range []Meaning{row.Own, row.Shared} {
			if ofDatabase && (m.Class == pipeline.Permanent) != (m.Code != "") {
				t.Errorf("%s %v: class %v with cause %q", row.Family, row.Codes, m.Class, m.Code)
			}
		}
		if ofDatabase && row.Shared.Class == pipeline.Permanent && row.Codes[0] != "22" {
			t.Errorf("%s %v fails requests for an error in what all share", row.Family, row.Codes)
		}
		if row.What == "" || row.Why == "" {
			t.Errorf("%s %v is not explained", row.Family, row.Codes)
		}
	}
}

// docs/delivery.md shows the table.
func TestDocumentShowsTheTable(t *testing.T) {
	t.Parallel()
	const path = "../../docs/delivery.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := document(); !strings.Contains(string(text), want) {
		t.Errorf("%s lacks this table; add it:\n%s", path, want)
	}
}

// document renders the table as in the document.
func document() string {
	var b strings.Builder
	for _, family := range []Family{PostgreSQL, SQLite, System, Client, JetStream} {
		headings := map[Family]string{
			PostgreSQL: "| SQLSTATE, or class | | in a tenant's own schema | in what all requests share | why |",
			SQLite:     "| SQLite's result code | | in a tenant's own file | in the registry | why |",
			System:     "| errno | | in a tenant's own file or directory | in the registry's | why |",
			Client:     "| error of the NATS client, in publications | | what follows | why |",
			JetStream:  "| error code of JetStream, or code, in publications | | what follows | why |",
		}
		fmt.Fprintf(&b, "\n%s\n|%s\n", headings[family], strings.Repeat("---|", strings.Count(headings[family], "|")-1))
		for _, row := range Table {
			if row.Family != family {
				continue
			}
			codes := "`" + strings.Join(row.Codes, "`, `") + "`"
			if row.Codes[0] == other {
				codes = ""
			}
			fmt.Fprintf(&b, "| %s | %s | %s |", codes, row.What, row.Own.word(family))
			if family != Client && family != JetStream {
				fmt.Fprintf(&b, " %s |", row.Shared.word(family))
			}
			fmt.Fprintf(&b, " %s |\n", row.Why)
		}
	}
	return b.String()
}

// word renders the meaning.
func (m Meaning) word(family Family) string {
	publication := family == Client || family == JetStream
	switch {
	case m.Class == pipeline.Outage && publication:
		return "retried; not ready"
	case m.Class == pipeline.Outage:
		return "outage"
	case m.Class == pipeline.Permanent && publication:
		return "rejected"
	case m.Class == pipeline.Permanent:
		return "fails: `" + string(m.Code) + "`"
	case publication:
		return "retried"
	case m.Busy:
		return "waits"
	}
	return "rehearsed"
}
