package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// typeText types on the terminal.
func (s *testScreen) typeText(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(s.keys, text)
	testkit.Must(t, err)
}

// Only y and yes confirm. Everything else changes nothing.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]bool{
		"y\n": true, "Y\n": true, "yes\n": true, " YES \n": true, "n\n": false, "\n": false, "yes please\n": false, "no\n": false,
		"\x04": false, "y\x04\x04": false, // the end of the input
	} {
		s := newTerminal(t, 80, 24)
		a := terminal.IO{In: s.tty, Out: s.tty, Err: s.tty}
		testkit.Equal(t, "can ask", a.CanAsk(), true)
		s.typeText(t, typed)
		yes, err := a.Confirm(t.Context(), "Remove?")
		testkit.Must(t, err)
		testkit.Equal(t, fmt.Sprintf("%q", typed), yes, want)
		s.closeTTY(t)
		testkit.Contains(t, "the screen", s.text(), "Remove? [y/N]")
	}
}

// remove asks on a terminal, and states what is lost.
func TestRemoveAsks(t *testing.T) {
	m := newDeadLetterServer(t)
	one := m.addDeadLetter("1", "acme", "TENANT_EXISTS", 0)
	two := m.addDeadLetter("2", "umbrella", "TENANT_EXISTS", 0)
	remove := func(typed string, want int, args ...string) string {
		t.Helper()
		s := newTerminal(t, 100, 40)
		s.typeText(t, typed)
		testkit.Equal(t, fmt.Sprintf("exit code after %q", typed), s.command(t, m.env, nil, nil, append([]string{"dead-letters", "remove"}, args...)...), want)
		s.closeTTY(t)
		return s.text()
	}
	for _, no := range []string{"n\n", "\n", "\x04"} {
		testkit.Contains(t, "the screen", remove(no, 1, one[:12], two[:12]), one[:12]+" acme TENANT_EXISTS", two[:12]+" umbrella TENANT_EXISTS",
			"Their requests stay failed", "TENANT_REQUESTS", "Remove 2 dead letters? [y/N]", "not confirmed; nothing was changed")
		m.assertStored(0, 2)
	}
	shown := remove("", 1, "abcdefabcdef")
	testkit.Contains(t, "the screen", shown, "names no dead letter")
	if strings.Contains(shown, "?") {
		t.Errorf("it asks without a dead letter to remove:\n%s", shown)
	}
	testkit.Contains(t, "the screen", remove("y\n", 0, one), "Remove 1 dead letter? [y/N]", one[:12]+" acme TENANT_EXISTS: removed")
	m.assertStored(0, 1)
	if shown := remove("", 0, two, "--yes"); strings.Contains(shown, "?") {
		t.Errorf("it asks in spite of --yes:\n%s", shown)
	}
	m.assertStored(0, 0)
}

// replay --all asks on a terminal, and replays what it has counted, not what arrives before the answer.
func TestReplayAllAsks(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", 0)
	s := newTerminal(t, 100, 40)
	s.typeText(t, "n\n")
	testkit.Equal(t, "exit code", s.command(t, m.env, nil, nil, "dead-letters", "replay", "--all"), 1)
	s.closeTTY(t)
	testkit.Contains(t, "the screen", s.text(), "are published again", "Replay 2 dead letters? [y/N]", "not confirmed; nothing was changed")
	m.assertStored(0, 2)

	s = newTerminal(t, 100, 40)
	ended := make(chan int, 1)
	var stdout testkit.Output
	go func() {
		ended <- s.command(t, m.env, &stdout, nil, "dead-letters", "replay", "--all", "--wait", "0")
	}()
	testkit.Eventually(t, "it asks", func() bool { return strings.Contains(s.text(), "Replay 2 dead letters? [y/N]") })
	m.addDeadLetter("3", "other", "PERMISSION_DENIED", 0)
	s.typeText(t, "y\n")
	testkit.Equal(t, "exit code", <-ended, 0)
	testkit.Contains(t, "stdout", stdout.String(), "2 replayed")
	m.assertStored(2, 1)

	// A dry run, keys and filters do not ask.
	for _, args := range [][]string{{"--all", "--dry-run"}, {"--tenant", "other", "--wait", "0"}} {
		code, _ := m.run(append([]string{"replay"}, args...)...)
		testkit.Equal(t, fmt.Sprint("exit code of ", args), code, 0)
	}
	m.assertStored(3, 0)
	s = newTerminal(t, 100, 40)
	testkit.Equal(t, "exit code", s.command(t, m.env, nil, nil, "dead-letters", "replay", "--all"), 0)
	s.closeTTY(t)
	testkit.Contains(t, "nothing to ask", s.text(), "nothing to do")
}

// Without a terminal for question and answer nothing is done.
func TestNothingToAskOn(t *testing.T) {
	m := newDeadLetterServer(t)
	key := m.addDeadLetter("1", "acme", "TENANT_EXISTS", 0)
	for _, args := range [][]string{{"remove", key}, {"replay", "--all"}} {
		args = append([]string{"dead-letters"}, args...)
		var stderr testkit.Output
		s := newTerminal(t, 100, 40)
		s.typeText(t, "y\n")
		testkit.Equal(t, "exit code with stderr redirected", s.command(t, m.env, nil, &stderr, args...), exitUsage)
		testkit.Contains(t, "stderr", stderr.String(), "no terminal to ask on", "--yes")
		code := realMain(t.Context(), args, envconfig.MapLookuper(m.env), strings.NewReader("y\n"), s.tty, s.tty)
		testkit.Equal(t, "exit code with stdin redirected", code, exitUsage)
	}
	m.assertStored(0, 1)
}

// A signal ends the question.
func TestQuestionIsInterrupted(t *testing.T) {
	m := newDeadLetterServer(t)
	key := m.addDeadLetter("1", "acme", "TENANT_EXISTS", 0)
	s := newTerminal(t, 100, 40)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- realMain(ctx, []string{"dead-letters", "remove", key}, envconfig.MapLookuper(m.env), s.tty, s.tty, s.tty)
	}()
	testkit.Eventually(t, "it asks", func() bool { return strings.Contains(s.text(), "[y/N]") })
	cancel()
	testkit.Equal(t, "exit code", <-ended, 1)
	s.typeText(t, "y\n") // the process would have ended
	testkit.Eventually(t, "the screen", func() bool { return strings.Contains(s.text(), "consumer: interrupted; nothing was changed") })
	testkit.Equal(t, "dead letters", m.messages(events.StreamDeadLetters), uint64(1))
}
