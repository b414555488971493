package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/terminal"
)

// readyTimeout bounds a request to the service.
const readyTimeout = 5 * time.Second

// examineService queries the service at HTTP_ADDR, if it runs on this machine. So whatever keeps it from taking
// requests is a fault here too, also what only its own process can know.
func examineService(ctx context.Context, c config.Config) Finding {
	const name = "service"
	if c.HTTPAddr == "" {
		return ok(name, "not queried: HTTP_ADDR is empty")
	}
	addr := terminal.Plain(c.HTTPAddr)
	status, text, err := AskReady(ctx, c.HTTPAddr)
	if err != nil {
		if err := canListen(ctx, c.HTTPAddr); err != nil {
			return fault(name, "choose another HTTP_ADDR, or HTTP_ADDR= for none", "the service does not start: HTTP_ADDR: %s",
				err)
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EADDRNOTAVAIL): // the latter of port 0
		return ok(name, "it does not run on this machine: no program listens at HTTP_ADDR %s", addr)
	case err != nil:
		return fault(name, "ss -ltnp # a service that is hung, or another program; choose another HTTP_ADDR for the latter",
			"no answer from HTTP_ADDR %s: %s", addr, err)
	case status == http.StatusServiceUnavailable:
		return fault(name, "see the findings below and the service's log", "it takes no requests: %s", terminal.Plain(text))
	case status != http.StatusOK:
		return fault(name, "choose another HTTP_ADDR", "another program listens at HTTP_ADDR %s (HTTP status %d): the "+
			"service does not start", addr, status)
	}
	return ok(name, "takes requests, at HTTP_ADDR %s", addr)
}

// canListen returns an error if the service could not listen on a free port of the address. It tries UDP, which has the
// same rules of addresses and privileges: trying TCP could take the port from a service that starts at that moment.
func canListen(ctx context.Context, addr string) error {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", addr)
	if err == nil {
		conn.Close() //nolint:errcheck // nothing was sent
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	return err
}

// AskReady queries /readyz of the service that listens on addr, and returns the status and the text of its answer. It
// dials addr itself, whatever proxy the environment names: the local system stands for an unspecified address.
func AskReady(ctx context.Context, addr string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return 0, "", fmt.Errorf("read the answer: %w", err)
	}
	return response.StatusCode, strings.TrimSpace(string(body)), nil
}
