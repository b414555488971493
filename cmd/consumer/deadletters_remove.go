package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/handler"
)

func removeLettersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove KEY…",
		Short: "Remove dead letters permanently",
		Long: "Removes dead letters without a replay. The requests stay failed. After that only the stream of requests\n" +
			"has the originals, until they reach its maximum age. Exits 1 if a KEY names no dead letter.",
		Example: "  consumer dead-letters remove 3f2a9c51d07e",
		Args:    atLeast(1),

		ValidArgsFunction: a.completeKeys(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx := cmd.Context()
			letters, _, end, err := a.openLetters(ctx)
			if err != nil {
				return err
			}
			defer end()
			var faults []error
			for _, n := range named(ctx, letters, names) {
				if ctx.Err() != nil {
					return errors.Join(append(faults, errors.New("interrupted; repeat the command for the rest"))...)
				}
				err := n.err
				if err == nil {
					err = a.removeLetter(cmd, letters, n.letter)
				}
				faults = append(faults, err)
			}
			return errors.Join(faults...)
		},
	}
}

func (a *app) removeLetter(cmd *cobra.Command, letters *handler.DeadLetters, l handler.DeadLetter) error {
	gone, err := letters.Remove(cmd.Context(), l)
	if err != nil {
		return fmt.Errorf("%s: %w", shortKey(l.Key), err)
	}
	said := "removed"
	if gone {
		said = "no longer exists: removed, replayed or replaced by another process"
	}
	_, err = fmt.Fprintf(a.Out, "%s %s %s: %s\n", shortKey(l.Key), cell(l.Tenant, 40), cell(l.Reason, 30), said)
	return err
}
