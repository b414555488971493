package sqlite

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

const permissionHint = "the file system refuses; grant the right"

// classes is the table of SQLite result codes, primary codes only. What is not in it is transient.
// Source: https://www.sqlite.org/rescode.html
var classes = map[int]pipeline.Class{
	sqlite3.SQLITE_READONLY: pipeline.Outage,
	sqlite3.SQLITE_IOERR:    pipeline.Outage,
	sqlite3.SQLITE_FULL:     pipeline.Outage,
	sqlite3.SQLITE_CANTOPEN: pipeline.Outage,
	sqlite3.SQLITE_PERM:     pipeline.Permanent,
	sqlite3.SQLITE_AUTH:     pipeline.Permanent,

	// Known to pass by themselves. Listed for the reader: transient is the default.
	sqlite3.SQLITE_BUSY:       pipeline.Transient, // a tenant's file; for the registry see registryFault
	sqlite3.SQLITE_LOCKED:     pipeline.Transient,
	sqlite3.SQLITE_CONSTRAINT: pipeline.Transient, // lost a race against DocEX
}

// outages are the errors of file operations that are nobody's fault here.
var outages = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE}

// classify makes a *pipeline.Fault of an error.
func classify(err error) error {
	var fault *pipeline.Fault
	var settled *pipeline.Settled
	if err == nil || errors.As(err, &fault) || errors.As(err, &settled) {
		return err
	}
	if errors.Is(err, fs.ErrPermission) {
		return &pipeline.Fault{
			Class: pipeline.Permanent, Code: events.CausePermissionDenied,
			Message: permissionHint, Err: err,
		}
	}
	for _, outage := range outages {
		if errors.Is(err, outage) {
			return &pipeline.Fault{Class: pipeline.Outage, Err: err}
		}
	}
	code := primary(err)
	fault = &pipeline.Fault{Class: classes[code], Err: err}
	if code != 0 {
		fault.Native = "SQLITE " + strconv.Itoa(code)
	}
	if fault.Class == pipeline.Permanent {
		fault.Code, fault.Message = events.CausePermissionDenied, permissionHint
	}
	return fault
}

// registryFaults are the result codes that mean more where they are the registry's: what keeps one out keeps
// everybody out, which is an outage and no request's fault.
var registryFaults = map[int]string{
	sqlite3.SQLITE_BUSY:    "the registry is locked by another process",
	sqlite3.SQLITE_CORRUPT: "the registry is damaged; restore it",
	sqlite3.SQLITE_NOTADB:  "the registry is not a SQLite database; restore it",
	sqlite3.SQLITE_ERROR:   "the registry lacks what a statement needs; restore it",
}

// registryFault is classify for the registry.
func registryFault(err error) error {
	var fault *pipeline.Fault
	code := primary(err)
	if message, ok := registryFaults[code]; ok && !errors.As(err, &fault) {
		return &pipeline.Fault{
			Class: pipeline.Outage, Message: message, Native: "SQLITE " + strconv.Itoa(code), Err: err,
		}
	}
	return classify(err)
}

// primary is the primary result code of a driver's error, or 0.
func primary(err error) int {
	var native *driver.Error
	if !errors.As(err, &native) {
		return 0
	}
	return native.Code() & 0xff
}
