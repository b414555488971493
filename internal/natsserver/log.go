package natsserver

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"example.com/tenant-provisioner/internal/repeatlog"
)

// serverLog writes the embedded server's log to the service's. Notices are at level debug: they concern only the server
// itself.
type serverLog struct {
	*slog.Logger
	reports *repeatlog.Log
	fatal   *atomic.Pointer[string] // why the server could not start
}

func (l serverLog) Noticef(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Warnf(format string, v ...any) {
	l.reports.Warn("nats: "+fmt.Sprintf(format, v...), nil)
}

func (l serverLog) Errorf(format string, v ...any) {
	l.reports.Error("nats: "+fmt.Sprintf(format, v...), nil)
}

// Fatalf does not end the process: the server has given up its start, which newServer reports.
func (l serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.Store(&why)
	l.reports.Error("nats: "+why, nil)
}

func (l serverLog) Debugf(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }

func (l serverLog) Tracef(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
