package postgrestest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Freeze suspends all processes of the server, as when its machine freezes; Thaw continues them. It skips the test if
// processes cannot be listed.
func (s *Server) Freeze() {
	s.t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		s.t.Skip("postgrestest: the processes of the server cannot be listed: ", err)
	}
	s.t.Cleanup(s.Thaw)
	s.signal(syscall.SIGSTOP)
}

// Thaw continues the processes that Freeze has suspended.
func (s *Server) Thaw() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

// signal sends a signal to the server: first to the process that starts the others, then to those.
func (s *Server) signal(what syscall.Signal) {
	s.t.Helper()
	if s.process == nil {
		return
	}
	first := s.process.cmd.Process.Pid
	if err := syscall.Kill(first, what); err != nil {
		s.t.Errorf("postgrestest: signal %s: %v", what, err)
	}
	for _, pid := range children(first) {
		_ = syscall.Kill(pid, what) // it may have ended
	}
}

// children are the direct child processes of parent.
func children(parent int) (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The name of the program, in parentheses, may contain anything. It is followed by the state and the parent.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			all = append(all, pid)
		}
	}
	return all
}
