package sqlite

import (
	"errors"
	"strconv"

	driver "modernc.org/sqlite"

	"example.com/tenant-provisioner/internal/faults"
	"example.com/tenant-provisioner/internal/pipeline"
)

// classify converts an error on objects of one tenant to a *pipeline.Fault.
func classify(err error) error { return fault(err, false) }

// registryFault is classify for the registry, and for everything else that all requests share.
func registryFault(err error) error { return fault(err, true) }

// fault converts an error to a *pipeline.Fault by the table of faults, using SQLite's result code or the errno of the
// operating system.
func fault(err error, shared bool) error {
	var known *pipeline.Fault
	var settled *pipeline.AlreadyDecidedError
	if err == nil || errors.As(err, &known) || errors.As(err, &settled) || errors.Is(err, pipeline.ErrBusy) {
		return err
	}
	row, ok := faults.ByErrno(err)
	native := ""
	if code := primary(err); !ok && code != 0 {
		row, _ = faults.BySQLite(code)
		native = "SQLITE " + strconv.Itoa(code)
	}
	m := row.Own
	if shared {
		m = row.Shared
	}
	if m.Busy {
		err = &busyError{err}
	}
	return &pipeline.Fault{Class: m.Class, Code: m.Code, Message: m.Hint, DriverCode: native, Shared: shared, Err: err}
}

// primary returns the primary result code of a driver's error, or 0.
func primary(err error) int {
	var native *driver.Error
	if !errors.As(err, &native) {
		return 0
	}
	return native.Code() & 0xff
}

// busyError is an error that is also [pipeline.ErrBusy].
type busyError struct{ err error }

func (e *busyError) Error() string   { return e.err.Error() }
func (e *busyError) Unwrap() []error { return []error{e.err, pipeline.ErrBusy} }
