package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/handler"
)

func removeLettersCommand(a *app) *cobra.Command {
	confirm := confirmation{app: a}
	cmd := &cobra.Command{
		Use:   "remove KEY…",
		Short: "Remove dead letters permanently",
		Long: "Removes dead letters without a replay. The requests stay failed. After that only the stream of requests\n" +
			"has the originals, until they reach its maximum age. It asks first, and needs --yes where standard input\n" +
			"or standard error is not a terminal. Exits 1 if a KEY names no dead letter, or if you do not confirm.",
		Example: "  consumer dead-letters remove 3f2a9c51d07e\n" +
			"  consumer dead-letters remove 3f2a9c51d07e 99fc85224f3b --yes",
		Args: atLeast(1),

		ValidArgsFunction: a.completeKeys(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := confirm.check("dead-letters remove"); err != nil {
				return err
			}
			ctx := cmd.Context()
			letters, _, end, err := a.openLetters(ctx)
			if err != nil {
				return err
			}
			defer end()
			var found []handler.DeadLetter
			var faults []error
			for _, n := range named(ctx, letters, names) {
				if n.err != nil {
					faults = append(faults, n.err)
					continue
				}
				found = append(found, n.letter)
			}
			if len(found) > 0 {
				err := confirm.ask(ctx, lostWith(found), "Remove "+deadLetterCount(len(found))+"?")
				if err != nil {
					return errors.Join(append(faults, err)...)
				}
			}
			for _, letter := range found {
				if ctx.Err() != nil {
					return errors.Join(append(faults, errors.New("interrupted; repeat the command for the rest"))...)
				}
				faults = append(faults, a.removeLetter(ctx, letters, letter))
			}
			return errors.Join(faults...)
		},
	}
	confirm.define(cmd)
	return cmd
}

// maxListed is how many dead letters a question lists.
const maxListed = 20

// lostWith lists dead letters, and states what is lost with them.
func lostWith(all []handler.DeadLetter) string {
	var b strings.Builder
	for i, l := range all {
		if i == maxListed {
			fmt.Fprintf(&b, "  and %d more\n", len(all)-i)
			break
		}
		b.WriteString("  " + nameOf(l) + "\n")
	}
	b.WriteString("Their requests stay failed, and cannot be replayed any more. After that at most TENANT_REQUESTS has\n" +
		"the originals, until its max_age.\n")
	return b.String()
}

// nameOf names a dead letter in a line of text.
func nameOf(l handler.DeadLetter) string {
	return fmt.Sprintf("%s %s %s", shortKey(l.Key), cell(l.Tenant, 40), cell(l.Reason, 30))
}

func deadLetterCount(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}

func (a *app) removeLetter(ctx context.Context, letters *handler.DeadLetters, l handler.DeadLetter) error {
	gone, err := letters.Remove(ctx, l)
	if err != nil {
		return fmt.Errorf("%s: %w", shortKey(l.Key), err)
	}
	said := "removed"
	if gone {
		said = "no longer exists: removed, replayed or replaced by another process"
	}
	_, err = fmt.Fprintf(a.Out, "%s: %s\n", nameOf(l), said)
	return err
}
