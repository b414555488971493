package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds the request.
const healthTimeout = 5 * time.Second

func healthCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "health",
		Short:   "Check whether the service on this machine takes requests",
		Long:    "Queries /readyz at HTTP_ADDR and exits 0 or 1: a health check for images that contain only this program.",
		Example: "  consumer health",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			if c.HTTPAddr == "" {
				return usageError(errors.New("HTTP_ADDR is empty: the service has no HTTP server to query"))
			}
			ready, text, err := askHealth(cmd.Context(), c.HTTPAddr)
			if err != nil {
				return fmt.Errorf("no service answers at HTTP_ADDR %s: %w", c.HTTPAddr, err)
			}
			fmt.Fprint(a.Out, text) //nolint:errcheck // the exit code reports it too
			if !ready {
				return errSilent
			}
			return nil
		},
	}
}

// askHealth queries the server that listens on addr. It dials addr itself, whatever proxy the environment names: the
// local system stands for an unspecified address.
func askHealth(ctx context.Context, addr string) (ready bool, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", http.NoBody)
	if err != nil {
		return false, "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false, "", err
	}
	defer response.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	return response.StatusCode == http.StatusOK, strings.TrimSpace(string(body)) + "\n", err
}
