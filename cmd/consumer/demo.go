package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
)

// demoTimeout is how long the demo waits for one outcome.
const demoTimeout = 30 * time.Second

func demoCommand(a *app) *cobra.Command {
	var asJSON bool
	var dir string
	cmd := &cobra.Command{
		Use:   "demo [FILE…]",
		Short: "Show the whole path in one process",
		Long: "Starts NATS, SQLite and the service in this process, in a fresh directory, publishes request events,\n" +
			"and shows what becomes of them. A FILE holds one event as JSON, or one a line; - is standard input.\n" +
			"Without files it publishes samples, valid and invalid. Exits 0 if every request got an outcome.",
		Example: "  consumer demo\n  consumer demo my-request.json --dir /tmp/demo",
		RunE: func(cmd *cobra.Command, files []string) error {
			messages, err := readMessages(files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if len(files) == 0 {
				messages = samples()
			}
			return a.demo(cmd.Context(), messages, dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome events, one a line")
	cmd.Flags().StringVar(&dir, "dir", "", "a new or empty directory that is kept (default: one that is removed)")
	return cmd
}

// message is something to publish, with a line of explanation.
type message struct {
	title string
	msg   *nats.Msg
}

// readMessages reads request events as they are: what is no event shall be seen to fail.
func readMessages(files []string, stdin io.Reader) ([]message, error) {
	var all []message
	for _, name := range files {
		var content []byte
		var err error
		if name == "-" {
			content, err = io.ReadAll(stdin)
		} else {
			content, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, misuse(err)
		}
		bodies := splitEvents(content)
		if len(bodies) == 0 {
			return nil, misuse(fmt.Errorf("%s is empty", name))
		}
		for i, body := range bodies {
			all = append(all, message{
				fmt.Sprintf("%s, event %d", name, i+1),
				&nats.Msg{Subject: events.TypeRequested, Data: body},
			})
		}
	}
	return all, nil
}

// splitEvents splits a file of one JSON value a line; anything else is one event.
func splitEvents(content []byte) [][]byte {
	content = bytes.TrimSpace(content)
	if json.Valid(content) {
		return [][]byte{content}
	}
	var lines [][]byte
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return [][]byte{content}
		}
		lines = append(lines, line)
	}
	return lines
}

// samples are the requests of the demo.
func samples() []message {
	binary := func(id, tenant string) *nats.Msg {
		body, err := json.Marshal(events.Requested{TenantID: tenant, DisplayName: "Acme Inc.", CreatedBy: "billing"})
		if err != nil {
			panic(err) // a struct of strings
		}
		return &nats.Msg{Subject: events.TypeRequested, Data: body, Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {"/demo/billing"},
			"ce-id": {id}, "ce-datacontenttype": {"application/json"},
		}}
	}
	return []message{
		{"a new tenant, acme", binary("order-1", "acme")},
		{"the same request, delivered a second time", binary("order-1", "acme")},
		{"another request for acme", binary("order-2", "acme")},
		{"an id that differs from acme only in case", binary("order-3", "Acme")},
		{"an id longer than DocEX takes", binary("order-4", "a-tenant-with-quite-a-long-id-indeed")},
		{"a reserved id", binary("order-5", "_docex_backup_")},
		{"a malformed id", binary("order-6", "../../etc/passwd")},
		{"a message that is no CloudEvent", &nats.Msg{Subject: events.TypeRequested, Data: []byte("a tenant, please")}},
	}
}

// demo runs the service on embedded defaults, whatever the environment says, and feeds it.
func (a *app) demo(ctx context.Context, messages []message, dir string, asJSON bool) (err error) {
	c, log, err := a.demoConfig(ctx)
	if err != nil {
		return err
	}
	dir, remove, err := demoDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	c.DatabaseURL, c.EmbeddedDir = "sqlite:"+filepath.Join(dir, "storage"), filepath.Join(dir, "nats")
	server, err := startEmbedded(ctx, "", c.EmbeddedDir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	nc, err := connect(c, server, log, false)
	if err != nil {
		return err
	}
	defer hangUp(ctx, nc)
	db, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h, err := newHandler(c, nc, db, log)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err := topology(c).Ensure(ctx, js); err != nil {
		return err
	}
	stream, err := openOutcomes(ctx, js, true, log)
	if err != nil {
		return err
	}
	defer stream.close()

	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.Run(serving) }()
	s := &showing{app: a, js: js, stream: stream, seen: map[string]event.Event{}, asJSON: asJSON}
	err = s.all(ctx, messages)
	stop()
	return errors.Join(err, <-ended)
}

// demoConfig is the default configuration, with logs as the environment wants them; errors only, unless
// it says otherwise, because the outcomes tell the story.
func (a *app) demoConfig(ctx context.Context) (Config, *slog.Logger, error) {
	own := map[string]string{"LOG_LEVEL": "error"}
	for _, name := range []string{"LOG_LEVEL", "LOG_FORMAT"} {
		if value, ok := a.env.Lookup(name); ok {
			own[name] = value
		}
	}
	demo := app{env: envconfig.MapLookuper(own), stdout: a.stdout, stderr: a.stderr}
	return demo.configure(ctx)
}

// demoDir makes the directory of the demo; the returned function removes it where none was named.
func demoDir(dir string) (_ string, remove func() error, err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "tenant-provisioner-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	keep := func() error { return nil }
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return dir, keep, os.MkdirAll(dir, 0o755)
	case err != nil:
		return "", nil, misuse(err)
	case len(entries) > 0:
		return "", nil, misuse(fmt.Errorf("--dir %s is not empty; name a new directory", dir))
	}
	return dir, keep, nil
}

// showing publishes messages one after the other and shows the outcome of each.
type showing struct {
	*app
	js     jetstream.JetStream
	stream *outcomes
	seen   map[string]event.Event // outcomes received, by id
	asJSON bool
}

func (s *showing) all(ctx context.Context, messages []message) error {
	for i, m := range messages {
		if !s.asJSON {
			if _, err := fmt.Fprintf(s.stdout, "%d. %s\n", i+1, m.title); err != nil {
				return err
			}
		}
		if err := s.one(ctx, m.msg); err != nil {
			return fmt.Errorf("%s: %w", m.title, err)
		}
	}
	return s.summary(ctx, len(messages))
}

// one publishes a message, waits until it is settled, and shows its outcome.
func (s *showing) one(ctx context.Context, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("no outcome within %s", demoTimeout))
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, msg)
	if err != nil {
		return err
	}
	if err := s.settled(ctx, ack.Sequence); err != nil {
		return err
	}
	ids := outcomeIDs(events.StreamRequests, strconv.FormatUint(ack.Sequence, 10), 0)
	if e, err := events.Decode(msg.Header, msg.Data); err == nil {
		ids = outcomeIDs(e.Source(), e.ID(), 0)
	}
	for id := range maps.Keys(ids) {
		if e, ok := s.seen[id]; ok {
			return s.show(e, true)
		}
	}
	for {
		e, err := s.stream.next(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		s.seen[e.ID()] = e
		if ids[e.ID()] {
			return s.show(e, false)
		}
	}
}

// settled waits until the service has acknowledged everything up to the sequence.
func (s *showing) settled(ctx context.Context, sequence uint64) error {
	const poll = 10 * time.Millisecond
	for {
		consumer, err := s.js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil {
			return err
		}
		if consumer.CachedInfo().AckFloor.Stream >= sequence {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *showing) show(e event.Event, again bool) error {
	switch {
	case s.asJSON:
		return writeJSON(s.stdout, e)
	case again:
		_, err := fmt.Fprintf(s.stdout, "✓ the outcome it had before\n    outcome id: %s\n", e.ID())
		return err
	}
	return showOutcome(s.stdout, e)
}

// summary counts what the stream of outcomes really holds.
func (s *showing) summary(ctx context.Context, published int) error {
	stream, err := s.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	if info.State.Msgs != uint64(len(s.seen)) {
		return fmt.Errorf("the stream holds %d outcomes with %d ids", info.State.Msgs, len(s.seen))
	}
	if s.asJSON {
		return nil
	}
	_, err = fmt.Fprintf(s.stdout, "\n%d messages published, every one has its outcome; "+
		"the stream holds %d outcomes, no id twice.\n",
		published, info.State.Msgs)
	return err
}
