package faults

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	sqlite3 "modernc.org/sqlite/lib"
)

// other is the code of the row for errors that have no row of their own.
const other = "*"

type key struct {
	family Family
	code   string
}

// index is the table by family and code.
var index = sync.OnceValue(func() map[key]*Row {
	rows := map[key]*Row{}
	for i := range Table {
		for _, code := range Table[i].Codes {
			rows[key{Table[i].Family, code}] = &Table[i]
		}
	}
	return rows
})

// unknown is the row of an error that the table does not have. It is transient: only a known cause may fail a request
// permanently, and the rehearsal shows whether the fault affects all requests.
var unknown = everywhere("", retried, "unclassified", "nothing is known about it")

// find returns the row of the first of the codes that has one.
func find(family Family, codes ...string) (*Row, bool) {
	for _, code := range codes {
		if row, ok := index()[key{family, code}]; ok {
			return row, true
		}
	}
	return &unknown, false
}

// BySQLState is the row of an SQLSTATE, by the code itself or by its class.
func BySQLState(code string) (*Row, bool) { return find(PostgreSQL, code, code[:min(2, len(code))]) }

// BySQLite is the row of a primary result code of SQLite.
func BySQLite(code int) (*Row, bool) {
	return find(SQLite, sqliteNames[code])
}

// ByErrno is the row of the error number in err. ok is false if err has none, or the table does not have it.
func ByErrno(err error) (_ *Row, ok bool) {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return &unknown, false
	}
	return find(System, errnoName(number))
}

// ByPublication is the row of an error of publishing to a stream.
func ByPublication(err error) (*Row, bool) {
	var refusal jetstream.JetStreamError
	if errors.As(err, &refusal) && refusal.APIError() != nil {
		api := refusal.APIError()
		if row, ok := find(JetStream, strconv.Itoa(int(api.ErrorCode)), strconv.Itoa(api.Code)); ok {
			return row, true
		}
		return find(Client, other)
	}
	for _, known := range refusals {
		if errors.Is(err, known) {
			return find(Client, strings.TrimPrefix(known.Error(), "nats: "))
		}
	}
	return find(Client, other)
}

// refusals are the client library's errors that concern the message itself.
var refusals = []error{
	nats.ErrMaxPayload, nats.ErrBadHeaderMsg, nats.ErrBadSubject, nats.ErrHeadersNotSupported, nats.ErrInvalidMsg,
	jetstream.ErrInvalidSubject,
}

// sqliteNames are the names of the primary result codes: https://www.sqlite.org/rescode.html
var sqliteNames = map[int]string{
	sqlite3.SQLITE_OK: "OK", sqlite3.SQLITE_ERROR: "ERROR", sqlite3.SQLITE_INTERNAL: "INTERNAL",
	sqlite3.SQLITE_PERM: "PERM", sqlite3.SQLITE_ABORT: "ABORT", sqlite3.SQLITE_BUSY: "BUSY",
	sqlite3.SQLITE_LOCKED: "LOCKED", sqlite3.SQLITE_NOMEM: "NOMEM", sqlite3.SQLITE_READONLY: "READONLY",
	sqlite3.SQLITE_INTERRUPT: "INTERRUPT", sqlite3.SQLITE_IOERR: "IOERR", sqlite3.SQLITE_CORRUPT: "CORRUPT",
	sqlite3.SQLITE_NOTFOUND: "NOTFOUND", sqlite3.SQLITE_FULL: "FULL", sqlite3.SQLITE_CANTOPEN: "CANTOPEN",
	sqlite3.SQLITE_PROTOCOL: "PROTOCOL", sqlite3.SQLITE_EMPTY: "EMPTY", sqlite3.SQLITE_SCHEMA: "SCHEMA",
	sqlite3.SQLITE_TOOBIG: "TOOBIG", sqlite3.SQLITE_CONSTRAINT: "CONSTRAINT",
	sqlite3.SQLITE_MISMATCH: "MISMATCH", sqlite3.SQLITE_MISUSE: "MISUSE", sqlite3.SQLITE_NOLFS: "NOLFS",
	sqlite3.SQLITE_AUTH: "AUTH", sqlite3.SQLITE_FORMAT: "FORMAT", sqlite3.SQLITE_RANGE: "RANGE",
	sqlite3.SQLITE_NOTADB: "NOTADB", sqlite3.SQLITE_NOTICE: "NOTICE", sqlite3.SQLITE_WARNING: "WARNING",
	sqlite3.SQLITE_ROW: "ROW", sqlite3.SQLITE_DONE: "DONE",
}
