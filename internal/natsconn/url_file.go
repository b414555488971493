package natsconn

import (
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// errServersChanged: the client has asked for one of the former servers.
var errServersChanged = errors.New("the servers in NATS_URL_FILE have changed")

// urlFile is a NATS_URL in a file, which is read again for each connection. The client keeps the servers and users that
// it began with (nats.go 1.55.0, setupServerPool). So it gets the servers without their users, whom it asks for at each
// login; and new servers between two rounds through the former ones.
type urlFile struct {
	link *Link
	read func() (string, error)

	mu      sync.Mutex
	now     natsServers // as last read
	changed bool        // the client does not know the servers yet
}

// followURL makes the connection use what is in the file for each login.
func (l *Link) followURL(read func() (string, error), start natsServers) []nats.Option {
	f := &urlFile{link: l, read: read, now: start}
	l.dialer.before = append(l.dialer.before, f.refresh)
	return []nats.Option{
		nats.UserInfoHandler(func() (user, password string) {
			login := f.user()
			if password, has := login.Password(); has {
				return login.Username(), password
			}
			return "", ""
		}),
		nats.TokenHandler(func() string {
			login := f.user()
			if _, has := login.Password(); has {
				return ""
			}
			return login.Username()
		}),
		nats.CustomReconnectDelay(func(round int) time.Duration {
			if servers := f.take(); servers != nil && l.client.Load().SetServerPool(servers) == nil {
				return 0
			}
			return l.dialer.pause(round)
		}),
	}
}

// refresh reads the file. The client calls it under its lock, before it connects to a server. The first connection uses
// what was read before.
func (f *urlFile) refresh() error {
	if f.link.client.Load() == nil {
		return nil
	}
	list, err := f.read()
	if err != nil {
		return err
	}
	next := serversOf(list)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case next.webSocket != f.now.webSocket || next.tls != f.now.tls:
		return errors.New("NATS_URL_FILE: the schemes of its servers have changed; restart this process to use others")
	case !slices.Equal(next.addresses, f.now.addresses):
		f.changed = true
		f.link.dialer.configure(next.addresses)
	}
	f.now = next
	if f.changed {
		return errServersChanged
	}
	return nil
}

// take returns the servers that the client does not know yet, without users; nil: it knows all.
func (f *urlFile) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.changed {
		return nil
	}
	f.changed = false
	return f.now.urls
}

// user returns the user for the server that the client has connected to. One that the client has learned from another
// has the user of the first. It may be nil.
func (f *urlFile) user() *url.Userinfo {
	address := f.link.dialer.lastTaken()
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.now.addresses, address); i >= 0 {
		return f.now.users[i]
	}
	for _, user := range f.now.users {
		if user != nil {
			return user
		}
	}
	return nil
}
