package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// maxFaults is how many consecutive faults stop a replay: further dead letters would very likely fail too.
const maxFaults = 3

// replayFlags are the flags of consumer dead-letters replay.
type replayFlags struct {
	letterFlags
	confirm             confirmation // of --all
	all, dryRun, asJSON bool
	rate                float64
	wait                time.Duration
}

func replayLettersCommand(a *app) *cobra.Command {
	f := replayFlags{confirm: confirmation{app: a}}
	cmd := &cobra.Command{
		Use:   "replay [KEY…]",
		Short: "Publish failed requests again",
		Long: "Publishes the originals again, as the next replay of their requests, and removes their dead letters.\n" +
			"Select them by KEY, by --reason, --tenant and --since, or with --all. A request that can never succeed,\n" +
			"such as one with an invalid id, is replayed too if it matches, and fails again. Dead letters that arrive\n" +
			"in the meantime are not replayed. You can safely interrupt the command, repeat it, and run it twice at\n" +
			"the same time: each dead letter is replayed once. --all asks first, and needs --yes where standard input\n" +
			"or standard error is not a terminal.\n\n" +
			"Then it waits for the outcome of each replay that it has published. One that another process published\n" +
			"just before counts too; a dead letter that no longer exists is only counted. Exits 0 if all these tenants\n" +
			"are provisioned, or were already; 1 if not, if an outcome was not seen within --wait, if a KEY names no\n" +
			"dead letter, or if you do not confirm. With --wait 0 the exit code ignores outcomes.",
		Example: "  consumer dead-letters replay 3f2a9c51d07e\n" +
			"  consumer dead-letters replay --reason BOUNDARY_NOT_EMPTY --tenant acme\n" +
			"  consumer dead-letters replay --all --since 24h --rate 5 --dry-run\n" +
			"  consumer dead-letters replay --all --since 24h --rate 5 --yes",

		ValidArgsFunction: a.completeKeys(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			filter, err := f.check(cmd, names)
			if err != nil {
				return err
			}
			return a.replay(cmd.Context(), f, filter, names)
		},
	}
	flags := cmd.Flags()
	f.define(a, cmd)
	flags.BoolVar(&f.all, "all", false, "replay all dead letters, or all that the other flags select")
	flags.Float64Var(&f.rate, "rate", 0, "replay at most this many a second (0: as fast as possible)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would be replayed, and change nothing")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "wait this long for outcomes after the last replay (0: off)")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line, and a summary as the last")
	f.confirm.define(cmd)
	return cmd
}

// check validates the flags and arguments, and returns the filter.
func (f *replayFlags) check(cmd *cobra.Command, names []string) (handler.Filter, error) {
	filter, err := f.filter(cmd, time.Now())
	selects := f.all || f.given(cmd)
	const maxRate = 1e6
	switch {
	case err != nil:
		return filter, err
	case len(names) > 0 && selects:
		return filter, usageError(errors.New("replay: give either keys, or --all, --reason, --tenant and --since"))
	case len(names) == 0 && !selects:
		return filter, usageError(errors.New("replay: name the dead letters: keys, or --reason, --tenant or --since, " +
			"or --all"))
	case !(f.rate >= 0 && f.rate <= maxRate): // negated, so that it catches NaN
		return filter, usageError(fmt.Errorf("--rate: %v is not 0 to %v a second", f.rate, maxRate))
	case f.wait < 0:
		return filter, usageError(errors.New("--wait: must not be below 0"))
	case f.all && !f.dryRun:
		return filter, f.confirm.check("dead-letters replay --all")
	}
	return filter, nil
}

func (a *app) replay(ctx context.Context, f replayFlags, filter handler.Filter, names []string) error {
	letters, js, end, err := a.openLetters(ctx)
	if err != nil {
		return err
	}
	defer end()
	selection := letters.All(ctx, filter)
	if len(names) > 0 {
		selection = each(named(ctx, letters, names))
	}
	report := newReplayReport(a, f.asJSON)
	if !f.dryRun {
		if selection, err = a.announce(ctx, f, selection, report); err != nil {
			return err
		}
	}
	r := &replaying{replayFlags: f, letters: letters, report: report, limit: rate.NewLimiter(rate.Inf, 1)}
	if f.rate > 0 {
		r.limit.SetLimit(rate.Limit(f.rate))
	}
	if f.wait > 0 && !f.dryRun {
		// Before anything is published: an outcome may arrive immediately.
		if r.outcomes, err = awaitReplays(ctx, js, report.add); err != nil {
			return err
		}
		defer r.outcomes.close(ctx)
	}
	err = r.all(ctx, selection)
	if r.outcomes != nil {
		var waitErr error
		report.reconnected, waitErr = r.outcomes.end(ctx, f.wait)
		err = errors.Join(err, waitErr)
	}
	report.interrupted = ctx.Err() != nil
	negative := report.end(f)
	if err != nil {
		return err
	}
	return negative
}

// announce asks, if the flags say so, and shows a progress bar, if that is possible. It returns what to replay: not the
// dead letters that have arrived since those were counted.
func (a *app) announce(
	ctx context.Context, f replayFlags, selection iter.Seq2[handler.DeadLetter, error], report *replayReport,
) (iter.Seq2[handler.DeadLetter, error], error) {
	asks, shows := f.all && !f.confirm.yes, a.IsInteractive(a.Err) && !f.asJSON
	if !asks && !shows {
		return selection, nil
	}
	n, last, err := count(selection)
	if err != nil || n == 0 {
		return upTo(last, selection), err
	}
	if asks {
		err := f.confirm.ask(ctx, "Their requests are published again, and the dead letters removed. One that fails\n"+
			"again has a new dead letter.\n", "Replay "+deadLetterCount(n)+"?")
		if err != nil {
			return nil, err
		}
	}
	if shows {
		report.showProgress(a.ProgressBar(n, "replaying", "dead letters"), terminal.IsTerminal(a.Out))
	}
	return upTo(last, selection), nil
}

// replaying replays one dead letter after the other.
type replaying struct {
	replayFlags
	letters  *handler.DeadLetters
	outcomes *replayOutcomes // nil: do not wait for outcomes
	report   *replayReport
	limit    *rate.Limiter
	faults   int // in a row
}

// all replays a selection until ctx ends.
func (r *replaying) all(ctx context.Context, selection iter.Seq2[handler.DeadLetter, error]) error {
	for letter, err := range selection {
		switch {
		case ctx.Err() != nil:
			return nil // the summary reports the interruption
		case errors.Is(err, handler.ErrNoDeadLetter):
			r.report.add(replayLine{Status: statusNotFound, Error: err.Error()})
			continue
		case err != nil:
			return err
		}
		if r.dryRun {
			r.report.add(r.rehearse(ctx, letter))
			continue
		}
		if r.limit.Wait(ctx) != nil {
			return nil // the summary reports the interruption
		}
		// A replay that has begun is finished after a signal to stop; each of its steps has a timeout.
		r.one(context.WithoutCancel(ctx), letter)
		if r.faults == maxFaults {
			return fmt.Errorf("stopped after %d faults in a row; fix them and repeat the command, which is safe", maxFaults)
		}
	}
	return nil
}

func (r *replaying) one(ctx context.Context, letter handler.DeadLetter) {
	if r.outcomes == nil {
		line, _ := r.publish(ctx, letter)
		r.report.add(line)
		return
	}
	r.outcomes.during(func() (replayLine, *handler.Replayed) { return r.publish(ctx, letter) })
}

// publish replays a dead letter. It returns nil where no outcome can follow.
func (r *replaying) publish(ctx context.Context, letter handler.DeadLetter) (replayLine, *handler.Replayed) {
	line := newReplayLine(letter)
	replayed, err := r.letters.Replay(ctx, letter)
	if r.faults++; err == nil || errors.Is(err, handler.ErrGone) || errors.Is(err, handler.ErrUnreplayable) {
		r.faults = 0 // the next dead letter may succeed
	}
	line.Status, line.Replay, line.NotRestored = statusReplayed, replayed.Number, replayed.NotRestored
	if replayed.Repeated {
		line.Status = statusRepeated
	}
	switch {
	case err == nil:
		return line, &replayed
	case errors.Is(err, handler.ErrNotRemoved):
		line.Error = err.Error()
		return line, &replayed
	}
	return line.refused(err), nil
}

// rehearse returns the line of a replay without performing it.
func (r *replaying) rehearse(ctx context.Context, letter handler.DeadLetter) replayLine {
	line := newReplayLine(letter)
	number, err := r.letters.Check(ctx, letter)
	if err != nil {
		return line.refused(err)
	}
	line.Status, line.Replay = statusWouldReplay, number
	return line
}

// namedLetter is the dead letter that an argument names, or the error of the lookup.
type namedLetter struct {
	letter handler.DeadLetter
	err    error
}

// named finds dead letters by their keys. A dead letter that is named more than once is returned once.
func named(ctx context.Context, letters *handler.DeadLetters, names []string) (all []namedLetter) {
	seen := map[uint64]bool{}
	for _, name := range names {
		letter, err := letters.Find(ctx, name)
		if err == nil && seen[letter.Sequence] {
			continue
		}
		seen[letter.Sequence] = true
		all = append(all, namedLetter{letter, err})
	}
	return all
}

func each(all []namedLetter) iter.Seq2[handler.DeadLetter, error] {
	return func(yield func(handler.DeadLetter, error) bool) {
		for _, n := range all {
			if !yield(n.letter, n.err) {
				return
			}
		}
	}
}

// count counts a selection, and returns the highest sequence of a dead letter in it.
func count(selection iter.Seq2[handler.DeadLetter, error]) (n int, last uint64, _ error) {
	for letter, err := range selection {
		if err != nil && !errors.Is(err, handler.ErrNoDeadLetter) {
			return 0, 0, err
		}
		n++
		last = max(last, letter.Sequence)
	}
	return n, last, nil
}

// upTo leaves out dead letters after that sequence: they have arrived since the selection was counted, and confirmed.
func upTo(last uint64, selection iter.Seq2[handler.DeadLetter, error]) iter.Seq2[handler.DeadLetter, error] {
	return func(yield func(handler.DeadLetter, error) bool) {
		for letter, err := range selection {
			if err == nil && letter.Sequence > last {
				return
			}
			if !yield(letter, err) {
				return
			}
		}
	}
}
