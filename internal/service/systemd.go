package service

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"

	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/telemetry"
)

const (
	// statusInterval is how often the status line follows the reason of /readyz.
	statusInterval = time.Second
	// maxStatus bounds the status line, in bytes: systemd drops messages over 4 KiB.
	maxStatus = 1024
	// supervisorMargin is how much longer than the stop deadline systemd waits before it kills the process.
	supervisorMargin = 5 * time.Second
)

// systemd reports the state of the service to the systemd that has started it with Type=notify, by NOTIFY_SOCKET.
// Without that variable it does nothing. Only its own goroutine writes to the socket: a write can block.
type systemd struct {
	log      *slog.Logger
	stopping chan time.Duration
	ended    chan struct{}
}

func newSystemd(log *slog.Logger) *systemd {
	return &systemd{log: log, stopping: make(chan time.Duration, 1), ended: make(chan struct{})}
}

// run reports that the service has started. After that it reports the reason of /readyz as the status line and, where
// the unit has a watchdog, that the process is alive, until end is called.
//
// Started does not mean ready: while a server is unavailable, systemctl start and the boot would wait for it, and
// systemd would kill the service after TimeoutStartSec.
func (s *systemd) run(alive, ready func() error) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	faults := repeatlog.New(s.log)
	notify := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			faults.Warn("could not notify systemd", err)
		}
	}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		faults.Warn("could not read the interval of systemd's watchdog", err)
	}
	var watchdog <-chan time.Time
	if interval > 0 {
		ticker := time.NewTicker(interval / 2)
		defer ticker.Stop()
		watchdog = ticker.C
	}
	stopping := func(within time.Duration) {
		notify(daemon.SdNotifyStopping + "\nSTATUS=Stopping within " + within.String())
		// DRAIN_TIMEOUT may be longer than the unit's TimeoutStopSec allows.
		notify(fmt.Sprint("EXTEND_TIMEOUT_USEC=", (within + supervisorMargin).Microseconds()))
	}
	status := statusLine(ready())
	notify(daemon.SdNotifyReady + "\nSTATUS=" + status)
	poll := time.NewTicker(statusInterval)
	defer poll.Stop()
	for {
		select {
		case within := <-s.stopping:
			poll.Stop()
			stopping(within)
		case <-watchdog:
			if alive() == nil {
				notify(daemon.SdNotifyWatchdog)
			}
		case <-poll.C:
			if now := statusLine(ready()); now != status {
				status = now
				notify("STATUS=" + status)
			}
		case <-s.ended:
			select {
			case within := <-s.stopping: // the service has stopped at once
				stopping(within)
			default:
			}
			return
		}
	}
}

// stop reports that the service stops, at the latest after this time.
func (s *systemd) stop(within time.Duration) { s.stopping <- within }

// end ends run.
func (s *systemd) end() { close(s.ended) }

// statusLine is the state of the service in one line: systemd reads a further line as a variable of its own.
func statusLine(reason error) string {
	if reason == nil {
		return "Ready"
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason.Error(), "\ufffd"))
	return "Not ready: " + telemetry.Bound(text, maxStatus)
}
