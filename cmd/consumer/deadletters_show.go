package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// maxShown is how much of a body is shown without --json, in bytes.
const maxShown = 4 << 10

func showLetterCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show KEY",
		Short: "Show a dead letter: the reasons, and the original with its headers and body",
		Long: "Shows the reasons, and the original with its headers and body, which contains customer data.\n" +
			"To get a body that is not text, or a long one in full, use --json.",
		Example: "  consumer dead-letters show 3f2a9c51d07e\n" +
			"  consumer dead-letters show 3f2a9c51d07e --json | jq -r .body_base64 | base64 -d",
		Args: exactly(1),

		ValidArgsFunction: a.completeKeys(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			letters, _, end, err := a.openLetters(ctx)
			if err != nil {
				return err
			}
			defer end()
			letter, err := letters.Find(ctx, args[0])
			if err != nil {
				return err
			}
			original, err := letters.Original(ctx, letter)
			if err != nil && !errors.Is(err, handler.ErrUnreplayable) {
				return err
			}
			if asJSON {
				return errors.Join(err, showLetterJSON(a.Out, letter, original))
			}
			return errors.Join(showLetter(a.Out, letter, original), err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with the whole body as base64")
	return cmd
}

func showLetterJSON(w io.Writer, l handler.DeadLetter, original *nats.Msg) error {
	j := newLetterJSON(l)
	if original != nil {
		j.Headers, j.Body = original.Header, original.Data
	}
	return json.NewEncoder(w).Encode(j)
}

// showLetter writes a dead letter for people; original is nil where it no longer exists.
func showLetter(w io.Writer, l handler.DeadLetter, original *nats.Msg) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", terminal.Plain(events.DeadLetterSubject(l.Key)))
	fmt.Fprintf(&b, "    %-10s %s\n", "failed", l.Time.Format(time.RFC3339Nano))
	const prefix = "Dead-Letter-"
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		reason, ok := strings.CutPrefix(name, prefix)
		if !ok || reason == "Key" || reason == "Time" {
			continue
		}
		text := strings.Join(l.Header[name], ", ")
		if reason == "Message" {
			text = l.Message // the header has it escaped
		}
		fmt.Fprintf(&b, "    %-10s %s\n", terminal.Plain(strings.ToLower(reason)), terminal.Plain(text))
	}
	if original != nil {
		b.WriteString("the original's headers\n")
		for _, name := range slices.Sorted(maps.Keys(original.Header)) {
			for _, value := range original.Header[name] {
				fmt.Fprintf(&b, "    %s: %s\n", terminal.Plain(name), terminal.Plain(value))
			}
		}
		writeBody(&b, original.Data)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeBody(b *strings.Builder, body []byte) {
	fmt.Fprintf(b, "the original's body, %d bytes", len(body))
	switch {
	case len(body) == 0:
		b.WriteByte('\n')
	case !isText(body):
		b.WriteString(": not text; --json has it as base64\n")
	case len(body) > maxShown:
		fmt.Fprintf(b, ", of which the first; --json has all\n%s…\n", strings.ToValidUTF8(string(body[:maxShown]), ""))
	default:
		fmt.Fprintf(b, "\n%s\n", strings.TrimSuffix(string(body), "\n"))
	}
}

// isText reports whether the body can be written to a terminal unchanged.
func isText(body []byte) bool {
	return utf8.Valid(body) && terminal.Lines(string(body)) == string(body)
}
