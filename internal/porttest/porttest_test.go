package porttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// A port is given out once, can be listened on even while processes are started, and is not one that the system assigns
// to connections.
func TestFree(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	defer starting.Wait()
	defer stop()
	for range 4 {
		starting.Go(func() {
			for ctx.Err() == nil {
				other := exec.CommandContext(ctx, os.Args[0])
				other.Env = append(other.Environ(), holder+"=1") // without input it ends immediately
				if err := other.Run(); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen := map[netip.AddrPort]bool{}
	for range 200 {
		addr, err := Free(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] || addr.Port() < first || addr.Port() > last || !addr.Addr().IsLoopback() {
			t.Errorf("got %s", addr)
		}
		seen[addr] = true
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// holder names the variable that makes this test binary hold a port until its input ends.
const holder = "PORTTEST_HOLDER"

func TestMain(m *testing.M) {
	if os.Getenv(holder) == "" {
		os.Exit(m.Run())
	}
	addr, err := Free(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(addr.Port())
	io.Copy(io.Discard, os.Stdin) // until the input ends
}

// A port that another process holds is given out only after that process has ended, whether it listens or not.
func TestFreeAmongProcesses(t *testing.T) {
	t.Parallel()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(other.Environ(), holder+"=1")
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	var port uint16
	if _, err := fmt.Fscanln(output, &port); err != nil {
		t.Fatal(err)
	}
	if got, err := reserve(port); got || err != nil {
		t.Errorf("reserved while another process holds it: %t, %v", got, err)
	}
	if err := errors.Join(input.Close(), other.Wait()); err != nil {
		t.Fatal(err)
	}
	given.Delete(port)
	if got, err := reserve(port); !got || err != nil {
		t.Errorf("not reserved after the other process ended: %t, %v", got, err)
	}
}
