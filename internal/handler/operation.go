package handler

import (
	"log/slog"
	"sync/atomic"

	"example.com/tenant-provisioner/internal/repeatlog"
)

// operation is the state of something that is repeated until it succeeds: publishing to a stream, acknowledging, or a
// check.
type operation struct {
	why             *atomic.Pointer[error] // of the last failure; nil after a success
	faults          *repeatlog.Log
	failed, resumed string // log messages
}

func newOperation(log *slog.Logger, failed, resumed string) operation {
	return operation{new(atomic.Pointer[error]), repeatlog.New(log), failed, resumed}
}

// failing records why the operation fails; the next success clears it.
func (o *operation) failing(err error) {
	o.why.Store(&err)
	o.faults.Warn(o.failed, err)
}

// succeeded records that no worker waits for the operation.
func (o *operation) succeeded() {
	o.why.Store(nil)
	o.faults.Recovered(o.resumed)
}
