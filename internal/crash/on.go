//go:build crashpoints

package crash

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// frozen is whether the process has been frozen. That happens once: later arrivals at the place continue.
var frozen atomic.Bool

// Point kills or freezes the process if the environment names this place. about is the subject of the work there.
func Point(place, about string) {
	if isNamed("CRASH", place, about) {
		send(syscall.SIGKILL)
		select {} // until the signal has arrived
	}
	if isNamed("FREEZE", place, about) && frozen.CompareAndSwap(false, true) {
		freeze()
	}
}

func isNamed(what, place, about string) bool {
	only := os.Getenv(what + "_ABOUT")
	return place == os.Getenv(what+"_AT") && (only == "" || only == about)
}

// freeze stops the whole process and returns once it has been continued. SIGSTOP may be delivered to another thread:
// waiting for SIGCONT keeps the caller from passing the place before it arrives.
func freeze() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	send(syscall.SIGSTOP)
	<-continued
}

func send(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err)
	}
}
