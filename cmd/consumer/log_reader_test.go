package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// errorTexts are the errors in a log, or the log itself where it is not JSON.
func errorTexts(log string) string {
	var texts strings.Builder
	for line := range strings.Lines(log) {
		var fields struct{ Error string }
		if json.Unmarshal([]byte(line), &fields) != nil {
			return log
		}
		texts.WriteString(fields.Error + "\n")
	}
	return texts.String()
}

// unreadPipe is a pipe whose reader is gone, or hangs.
func unreadPipe(t *testing.T, reader string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, w.Close()) })
	if reader == "gone" {
		testkit.Must(t, r.Close())
	} else {
		t.Cleanup(func() { testkit.Must(t, r.Close()) })
	}
	return w
}

// A service whose log nothing reads, or whose stdout or stderr is gone, continues to serve.
func TestServiceOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	spans := map[string]string{"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_SCHEDULE_DELAY": "1"}
	for name, c := range map[string]struct {
		redirect       string // of the shell
		stdout, stderr string // a pipe whose reader is gone, or hangs
		env            map[string]string
	}{
		"reader gone":        {stderr: "gone"},
		"reader hangs":       {stderr: "hangs", env: with("LOG_LEVEL", "debug")},
		"disk full":          {redirect: "2>/dev/full"},
		"stderr closed":      {redirect: "2>&-"},
		"all closed":         {redirect: "<&- >&- 2>&-"},
		"spans, reader gone": {stdout: "gone", env: spans},
		"spans, disk full":   {redirect: ">/dev/full", env: spans},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			http, url := testkit.FreeAddr(t), natstest.Start(t)
			cmd := exec.CommandContext(t.Context(), "sh", "-c", `exec "$0" `+c.redirect, realProgram(t))
			for name, value := range settings(newSQLite(t).env, c.env, with("HTTP_ADDR", http), with("NATS_URL", url)) {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			cmd.Dir = t.TempDir()
			if c.stdout != "" {
				cmd.Stdout = unreadPipe(t, c.stdout)
			}
			if c.stderr != "" {
				cmd.Stderr = unreadPipe(t, c.stderr)
			}
			testkit.Must(t, cmd.Start())
			ready := func() bool {
				code, _, err := fetch(t, "http://"+http+"/readyz")
				return err == nil && code == 200
			}
			testkit.Eventually(t, "ready", ready)
			js := natstest.JetStream(t, url)
			for i := range 60 { // their log does not fit into a pipe
				publish(t, js, requestFor(t, fmt.Sprint(i), fmt.Sprint("tenant_", i)))
			}
			awaitSettled(t, js)
			testkit.Equal(t, "ready", ready(), true)
			testkit.Must(t, cmd.Process.Signal(syscall.SIGTERM))
			testkit.Must(t, cmd.Wait())
		})
	}
}

// What ends the service, or keeps it from starting, is in its log, in the format of the log.
func TestServiceErrorsAreLogLines(t *testing.T) {
	t.Parallel()
	unusable := with("NATS_EMBEDDED_DIR", "/dev/null/nats")
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		code int
		want string
	}{
		"it fails":               {unusable, nil, 1, "NATS_EMBEDDED_DIR"},
		"a value":                {with("CONCURRENCY", "many"), nil, 2, `CONCURRENCY: "many" is not a whole number`},
		"two values":             {map[string]string{"CONCURRENCY": "many", "ACK_WAIT": "x"}, []string{"run"}, 2, "ACK_WAIT"},
		"a flag":                 {nil, []string{"run", "--fast"}, 2, "unknown flag: --fast"},
		"a flag without command": {nil, []string{"--fast"}, 2, "unknown flag: --fast"},
		"an argument":            {nil, []string{"run", "now"}, 2, "now"},
		"the format":             {with("LOG_FORMAT", "xml"), nil, 2, "LOG_FORMAT"},
	} {
		for _, format := range []string{"json", "text", ""} {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				env := settings(newSQLite(t).env, with("LOG_FORMAT", format), c.env)
				code, stdout, stderr := command(t, env, c.args...)
				testkit.Equal(t, "exit code", code, c.code)
				testkit.Equal(t, "stdout", stdout, "")
				if format == "text" && name != "the format" {
					for line := range strings.Lines(stderr) {
						testkit.Contains(t, "a line", line, "time=", " level=", " msg=")
					}
					return
				}
				errors := errorTexts(stderr)
				if errors == stderr {
					t.Errorf("a line is not JSON:\n%s", stderr)
				}
				testkit.Contains(t, "the errors", errors, c.want)
			})
		}
	}
}

// Where the reader of its log hangs, a service that cannot start ends all the same.
func TestServiceErrorDoesNotWaitForItsReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe() // without a reader
	defer r.Close()
	done := make(chan int, 1)
	go func() {
		done <- realMain(t.Context(), []string{"run"}, envconfig.MapLookuper(with("CONCURRENCY", "many")), nil, io.Discard, w)
	}()
	testkit.Equal(t, "exit code", testkit.Receive(t, "the end", done), 2)
}
