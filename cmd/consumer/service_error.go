package main

import (
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/terminal"
)

// runsService reports whether the command is the service: consumer run, or no command at all.
func runsService(cmd *cobra.Command) bool {
	return cmd.Name() == "run" || !cmd.HasParent() && cmd.Flags().NArg() == 0
}

// logServiceError logs why the service has ended or cannot start, in the format of its log: a line for each line of the
// error, such as each fault of the configuration. On a terminal, where LOG_FORMAT is not set, it prints them instead.
func (a *app) logServiceError(err error, code int) {
	format, _ := a.Env.Lookup("LOG_FORMAT")
	format = strings.TrimSpace(format) // as config.Load reads it
	if format == "" && terminal.IsTerminal(a.Err) {
		printError(a.Err, err)
		return
	}
	message := "the service has ended"
	if code == exitUsage {
		message = "the service cannot start: the configuration or the command line is invalid"
	}
	log, lines := telemetry.NewBufferedLogger(a.Err, slog.LevelError, format)
	defer lines.Close()
	for line := range strings.Lines(telemetry.Bound(err.Error(), maxErrorText)) {
		log.Error(message, "error", strings.TrimSuffix(line, "\n"))
	}
}
