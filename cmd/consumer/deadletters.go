package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/spelling"
	"example.com/tenant-provisioner/internal/terminal"
)

func deadLettersCommand(a *app) *cobra.Command {
	cmd := group("dead-letters", "List, show, replay and remove failed requests",
		listLettersCommand(a), showLetterCommand(a), replayLettersCommand(a), removeLettersCommand(a))
	cmd.Long = "A failed request is kept as a dead letter: the original message, with the reasons. A KEY is the dead\n" +
		"letter's key as list shows it, at least its first 6 characters, or its subject."
	return cmd
}

// openLetters connects to the stream of dead letters. end closes the connection.
func (a *app) openLetters(ctx context.Context) (_ *handler.DeadLetters, _ jetstream.JetStream, end func(), _ error) {
	c, log, err := a.configure(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	js, end, err := natsconn.Open(ctx, c, log)
	if err != nil {
		return nil, nil, nil, err
	}
	letters, err := handler.OpenDeadLetters(ctx, js)
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	return letters, js, end, nil
}

// letterFlags select dead letters.
type letterFlags struct {
	reasons, tenants []string
	since            string
}

func (f *letterFlags) define(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.reasons, "reason", nil, "select dead letters with this cause code (repeatable)")
	flags.StringArrayVar(&f.tenants, "tenant", nil, "select dead letters of this tenant id (repeatable)")
	flags.StringVar(&f.since, "since", "", "select failures since: a duration such as 24h, or an RFC 3339 time")
	completeFlag(cmd, "reason", cobra.FixedCompletions(causeCodes(), noFiles))
	completeFlag(cmd, "tenant", a.completeLetterTenants)
}

// given reports whether any of the flags is set.
func (f *letterFlags) given(cmd *cobra.Command) bool {
	flags := cmd.Flags()
	return flags.Changed("reason") || flags.Changed("tenant") || flags.Changed("since")
}

func (f *letterFlags) filter(cmd *cobra.Command, now time.Time) (handler.Filter, error) {
	filter := handler.Filter{Reasons: f.reasons, Tenants: f.tenants}
	codes := causeCodes()
	for _, reason := range f.reasons {
		if !slices.Contains(codes, reason) {
			return filter, usageError(fmt.Errorf("--reason: %q is not a cause code of this version%s; name dead letters of a "+
				"later version by KEY", reason, didYouMean(spelling.Closest(reason, codes))))
		}
	}
	if !cmd.Flags().Changed("since") {
		return filter, nil
	}
	var err error
	filter.Since, err = parseSince(f.since, now)
	return filter, err
}

// parseSince parses the flag --since: a duration before now, or an RFC 3339 time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, usageError(fmt.Errorf("--since: %q is neither a duration such as 24h nor a time such as %s",
		text, now.UTC().Format(time.RFC3339)))
}

// cell formats untrusted text for a table, cut to n columns.
func cell(s string, n int) string {
	if s == "" {
		return "-"
	}
	return terminal.Fit(terminal.Plain(s), n)
}

// shortKey shortens a key for people. The commands accept the short form.
func shortKey(key string) string {
	const enough = 12
	if key = terminal.Plain(key); len(key) == 64 {
		return key[:enough]
	}
	return key // not a key of this program: its beginning need not be unique
}
