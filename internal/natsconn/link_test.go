package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// users is a configuration with an administrator and these users.
func users(more string) string {
	return fmt.Sprintf("accounts { A { jetstream: enabled, users: [ {user: admin, password: pw}, %s ] }, B { users: [ "+
		"{user: other, password: pw} ] } }", more)
}

const me = "{user: me, password: pw}"

// connectAs connects the user in the background.
func connectAs(t *testing.T, url string, more ...nats.Option) *Link {
	t.Helper()
	c := config.Config{NATSURL: strings.Replace(url, "://", "://me:pw@", 1)}
	l, err := Connect(t.Context(), c, nil, slog.New(slog.DiscardHandler), true, more...)
	testkit.Must(t, err)
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func awaitLink(t *testing.T, l *Link, state string) {
	t.Helper()
	testkit.Eventually(t, "the link is "+state, func() bool {
		err := l.Err()
		if state == "up" {
			return err == nil
		}
		return err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(state))
	})
}

// A user that the server refuses, for whatever reason and however often, is an outage: the link names the reason, and is
// up again once the server accepts the user.
func TestRefusedUserComesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, want string }{
		"user removed":          {users(""), "Authorization Violation"},
		"password changed":      {users("{user: me, password: other}"), "Authorization Violation"},
		"account removed":       {"accounts { B { users: [ {user: other, password: pw} ] } }", "Authorization Violation"},
		"no connection allowed": {users(me) + "\nmax_connections: 1", "maximum connections exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.StartConfigured(t, users(me))
			if strings.Contains(c.change, "max_connections") { // the first to come keep their connections
				s.Reload(c.change)
				nc, err := nats.Connect(strings.Replace(s.URL, "://", "://admin:pw@", 1))
				testkit.Must(t, err)
				defer nc.Close()
			}
			l := connectAs(t, s.URL)
			if !strings.Contains(c.change, "max_connections") {
				awaitLink(t, l, "up")
				s.Reload(c.change)
			}
			awaitLink(t, l, c.want)
			if !errors.Is(l.Err(), nats.ErrDisconnected) || !Unavailable(l.Err()) {
				t.Errorf("not an outage: %v", l.Err())
			}
			// The client gives up when one server has refused it twice.
			refused := func() uint64 { return l.Conn().Stats().Reconnects }
			testkit.Eventually(t, "it is refused three times", func() bool { return refused() >= 3 })
			s.Reload(users(me))
			awaitLink(t, l, "up")
		})
	}
}

// A user that may not subscribe to its inbox any more loses its subscriptions, and gets them back with the permission.
func TestInboxComesBack(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, users(me))
	l := connectAs(t, s.URL)
	awaitLink(t, l, "up")
	echo, err := nats.Connect(strings.Replace(s.URL, "://", "://admin:pw@", 1))
	testkit.Must(t, err)
	defer echo.Close()
	_, err = echo.Subscribe("echo", func(m *nats.Msg) { m.Respond(m.Data) })
	testkit.Must(t, err)
	testkit.Must(t, echo.Flush())
	request := func() error {
		_, err := l.Conn().Request("echo", nil, time.Second)
		return err
	}
	testkit.Eventually(t, "a request is answered", func() bool { return request() == nil })
	for range 2 {
		s.Reload(users(`{user: me, password: pw, permissions: {subscribe: {deny: "_INBOX.>"}}}`))
		awaitLink(t, l, "may not subscribe to its inbox")
		if err := request(); err == nil {
			t.Error("a request was answered")
		}
		s.Reload(users(me))
		awaitLink(t, l, "up")
		testkit.Eventually(t, "requests are answered again", func() bool { return request() == nil })
	}
}

// The link keeps what the server refused, by subject, so that violations in between hide none.
func TestRefusedSubjectsAreKnown(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, users(`{user: me, password: pw, permissions: {publish: {deny: "denied.>"}}}`))
	l := connectAs(t, s.URL)
	awaitLink(t, l, "up")
	began := time.Now()
	testkit.Must(t, l.Conn().Publish("denied.first", nil))
	for i := range 3 * maxRefusals / 4 {
		testkit.Must(t, l.Conn().Publish(fmt.Sprint("denied.", i), nil))
	}
	testkit.Must(t, l.Conn().Flush())
	testkit.Eventually(t, "the first is known", func() bool { return l.Refused("denied.f", began) != nil })
	testkit.Equal(t, "an earlier one", l.Refused("denied.first", time.Now()), nil)
	testkit.Equal(t, "another subject", l.Refused("allowed", began), nil)
}

// A server that stops answering without closing the connection is left within 20 s.
func TestServerThatStopsAnswering(t *testing.T) {
	t.Parallel()
	l := connectAs(t, natstest.OfVersion(t, Oldest)) // with the intervals of the service
	awaitLink(t, l, "up")
	o := l.Conn().Opts
	if limit := time.Duration(o.MaxPingsOut+1) * o.PingInterval; limit > 20*time.Second || o.FlusherTimeout > 20*time.Second {
		t.Errorf("it is left after %s, a write ends after %s", limit, o.FlusherTimeout)
	}
	l = connectAs(t, natstest.OnePong(t), nats.PingInterval(50*time.Millisecond))
	awaitLink(t, l, "stale connection")
}

// A server that is too old is named; waiting does not help.
func TestServerIsTooOld(t *testing.T) {
	t.Parallel()
	l := connectAs(t, natstest.OfVersion(t, "2.10.3"))
	awaitLink(t, l, "2.10.3, which is too old")
	testkit.Equal(t, "waiting helps", Unavailable(l.Err()), false)
	testkit.Contains(t, "the error", l.Err().Error(), "upgrade it to "+Oldest)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, works := range map[string]bool{
		"2.10.3": false, "2.9.25": false, "1.4.1": false, "v2.9.0": false, "2.10.4": true, "2.10.4-RC.1": true, "2.15.2": true,
		"3.0.0-dev": true, "ours": true,
	} {
		testkit.Equal(t, version, CheckVersion("nats", version) == nil, works)
	}
}

// What JetStream rejects while a cluster forms, or while resources are short, is waited for.
func TestJetStreamErrorsThatPass(t *testing.T) {
	t.Parallel()
	for code, passes := range map[jetstream.APIError]bool{
		{Code: 503, ErrorCode: 10008}: true,  // temporarily unavailable
		{Code: 503, ErrorCode: 10023}: true,  // insufficient resources
		{Code: 503, ErrorCode: 10039}: true,  // not enabled for the account
		{Code: 503, ErrorCode: 10076}: true,  // not enabled
		{Code: 500, ErrorCode: 10009}: true,  // no leader
		{Code: 500, ErrorCode: 10047}: true,  // insufficient storage
		{Code: 500, ErrorCode: 10118}: true,  // stream offline
		{Code: 400, ErrorCode: 10005}: true,  // no suitable peers
		{Code: 400, ErrorCode: 10002}: true,  // resource limits of the account
		{Code: 500, ErrorCode: 10074}: false, // NATS_REPLICAS above 1, and no cluster
		{Code: 400, ErrorCode: 10058}: false, // the stream exists with other settings
		{Code: 404, ErrorCode: 10059}: false, // no such stream
	} {
		err := fmt.Errorf("stream x: %w", errors.Join(&code))
		testkit.Equal(t, fmt.Sprint(code.ErrorCode), Unavailable(err), passes)
	}
}
