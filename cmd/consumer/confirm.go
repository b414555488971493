package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// confirmation asks before a command does what cannot be undone, or does it to more than was named. Without a terminal
// there is nothing to ask on, and the command needs --yes.
type confirmation struct {
	*app
	yes bool
}

func (c *confirmation) define(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask; required without a terminal")
}

// check returns misuse if the command can neither ask nor has --yes. Call it before anything is done.
func (c *confirmation) check(command string) error {
	if c.yes || c.CanAsk() {
		return nil
	}
	return usageError(fmt.Errorf("%s asks before it acts, and there is no terminal to ask on: "+
		"standard input or standard error is redirected; give --yes to act without a question", command))
}

// ask asks a question after a text that states what follows, unless --yes is given. It returns an error if the answer
// is not yes.
func (c *confirmation) ask(ctx context.Context, text, question string) error {
	if c.yes {
		return nil
	}
	yes, err := c.Confirm(ctx, text+question)
	switch {
	case yes:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing was changed")
	case err != nil:
		return err
	}
	return errors.New("not confirmed; nothing was changed")
}
