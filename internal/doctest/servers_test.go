package doctest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/porttest"
	"example.com/tenant-provisioner/internal/testkit"
)

type addresses struct{ nats, http string }

func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	testkit.Must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server is not ready")
	}
	return s.ClientURL()
}

// freeAddr returns addresses on which no process listens.
func freeAddr(t *testing.T) addresses {
	t.Helper()
	var two [2]string
	for i := range two {
		addr, err := porttest.Free(t.Context())
		testkit.Must(t, err)
		two[i] = addr.String()
	}
	return addresses{two[0], two[1]}
}

func tail(text string) string {
	const most = 6000
	if len(text) > most {
		return fmt.Sprintf("…%s", text[len(text)-most:])
	}
	return text
}

// startService runs the program until the test ends, and returns once it accepts requests.
func startService(t *testing.T, env []string) {
	t.Helper()
	cmd := exec.Command(consumer(t))
	cmd.Env = env
	read, write, err := os.Pipe()
	testkit.Must(t, err)
	cmd.Stderr = write
	testkit.Must(t, cmd.Start())
	testkit.Must(t, write.Close())
	var log bytes.Buffer
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var once bool
		buffer := make([]byte, 4096)
		for {
			n, err := read.Read(buffer)
			log.Write(buffer[:n])
			if !once && bytes.Contains(log.Bytes(), []byte("taking requests")) {
				once = true
				close(ready)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ends with %v", err)
		}
		<-ended
		read.Close()
		if t.Failed() {
			t.Log(tail(log.String()))
		}
	})
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("the service does not start")
	case <-ended:
		t.Fatal("the service has ended")
	}
}

// get returns the body of a response, which must have status 200.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	testkit.Must(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // they would outlive the test
	response, err := client.Do(request)
	testkit.Must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	testkit.Must(t, err)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s\n%s", url, response.Status, body)
	}
	return string(body)
}
