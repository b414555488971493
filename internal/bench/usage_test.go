//go:build bench

package bench

import (
	"os"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"example.com/tenant-provisioner/internal/testkit"
)

// usage is the CPU time of programs, by name.
type usage map[string]time.Duration

// meter reads the CPU time of programs.
type meter struct {
	pids map[string]int // the server of PostgreSQL stands for its processes
}

// tick is the unit of CPU times in /proc, which the kernel gives as 1/100 s to all programs (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

func (m meter) read(t testing.TB) usage {
	t.Helper()
	fs, err := procfs.NewDefaultFS()
	testkit.Must(t, err)
	all, err := fs.AllProcs()
	testkit.Must(t, err)
	u := usage{}
	for _, p := range all {
		s, err := p.Stat()
		if err != nil { // it has ended
			continue
		}
		for name, pid := range m.pids {
			if s.PID == pid || s.PPID == pid && name == postgres {
				u[name] += time.Duration(s.UTime+s.STime) * tick
			}
			if s.PID == pid && name == postgres { // its child processes that have ended
				u[name] += time.Duration(s.CUTime+s.CSTime) * tick
			}
		}
	}
	return u
}

// measure returns what fn returns, and what the programs have used in the meantime.
func (m meter) measure(t testing.TB, fn func() time.Duration) (took time.Duration, used usage) {
	t.Helper()
	before := m.read(t)
	took = fn()
	return took, m.read(t).since(before)
}

// since returns the usage since an earlier reading.
func (u usage) since(before usage) usage {
	d := usage{}
	for name := range u {
		d[name] = u[name] - before[name]
	}
	return d
}

// plus adds two readings.
func (u usage) plus(other usage) usage {
	sum := usage{}
	for _, one := range []usage{u, other} {
		for name := range one {
			sum[name] += one[name]
		}
	}
	return sum
}

// per divides by a number of tenants.
func (u usage) per(n int) usage {
	d := usage{}
	for name := range u {
		d[name] = u[name] / time.Duration(n)
	}
	return d
}

// resident returns the memory of a process, in bytes.
func resident(t testing.TB, pid int) int {
	t.Helper()
	p, err := procfs.NewProc(pid)
	testkit.Must(t, err)
	s, err := p.Stat()
	testkit.Must(t, err)
	return s.ResidentMemory()
}

// parent returns the process that started another one.
func parent(t testing.TB, pid int) int {
	t.Helper()
	p, err := procfs.NewProc(pid)
	testkit.Must(t, err)
	s, err := p.Stat()
	testkit.Must(t, err)
	return s.PPID
}

// self is this process, which generates the load.
var self = os.Getpid()

// The programs of a run.
const (
	postgres, consumer, natsServer, generator = "PostgreSQL", "consumer", "NATS", "load generator"
)
