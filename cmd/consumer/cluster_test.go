package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// natsServerConfig names the file that makes this test binary a NATS server, in a process that can be killed.
const natsServerConfig = "NATS_TEST_SERVER"

// runNATSServer runs a NATS server until the process is killed or its standard input is closed.
func runNATSServer(config string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	options, err := server.ProcessConfigFile(config)
	if err != nil {
		fail(err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		fail(err)
	}
	s.ConfigureLogger()
	s.Start()
	io.Copy(io.Discard, os.Stdin) // until it is closed
	os.Exit(0)
}

// cluster is three NATS servers, each in its own process.
type cluster struct {
	urls  string
	nodes map[string]*node
}

type node struct {
	name, config string
	*exec.Cmd
	log  testkit.Output
	done chan struct{}
}

// startCluster starts three servers that sync every write, and waits until their leader knows all three.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	const size = 3
	var urls, routes []string
	for range size {
		urls, routes = append(urls, "nats://"+testkit.FreeAddr(t)), append(routes, "nats://"+testkit.FreeAddr(t))
	}
	c := &cluster{urls: strings.Join(urls, ","), nodes: map[string]*node{}}
	for i := range size {
		n, dir := &node{name: fmt.Sprintf("n%d", i)}, t.TempDir()
		n.config = filepath.Join(dir, "nats.conf")
		testkit.Must(t, os.WriteFile(n.config, fmt.Appendf(nil, `
			server_name: %s
			listen: %q
			jetstream { store_dir: %q, sync_interval: always }
			cluster { name: test, listen: %q, routes: [%s] }
			`, n.name, strings.TrimPrefix(urls[i], "nats://"), dir, strings.TrimPrefix(routes[i], "nats://"),
			strings.Join(routes, ", ")), 0o600))
		c.nodes[n.name] = n
		n.start(t)
		t.Cleanup(func() {
			n.kill()
			if t.Failed() {
				t.Logf("server %s:\n%s", n.name, testkit.Tail(n.log.String()))
			}
		})
	}
	for _, url := range urls {
		testkit.Eventually(t, "the server listens", func() bool {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err == nil {
				err = conn.Close()
			}
			return err == nil
		})
	}
	js := natstest.JetStream(t, c.urls)
	// A leader that has not yet received a message from the others treats them as offline, and places nothing on them.
	const probe = "PROBE"
	retryUntilDone(t, "a stream on all servers", func(ctx context.Context) (jetstream.Stream, error) {
		return js.CreateStream(ctx, jetstream.StreamConfig{Name: probe, Replicas: size, Storage: jetstream.MemoryStorage})
	})
	retryUntilDone(t, "the stream is removed", func(ctx context.Context) (none any, err error) {
		if err = js.DeleteStream(ctx, probe); errors.Is(err, jetstream.ErrStreamNotFound) {
			err = nil
		}
		return none, err
	})
	return c
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.Cmd = exec.Command(os.Args[0])
	n.Env = []string{natsServerConfig + "=" + n.config}
	n.Stdout, n.Stderr = &n.log, &n.log
	_, err := n.StdinPipe() // closed when this process ends, however it ends
	testkit.Must(t, err)
	testkit.Must(t, n.Cmd.Start())
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		n.Wait() // it is killed, which is an error
	}()
}

func (n *node) kill() {
	n.Process.Kill() // it may have ended
	<-n.done
}

// leader returns the server that leads a stream.
func (c *cluster) leader(t *testing.T, js jetstream.JetStream, stream string) *node {
	t.Helper()
	var leader *node
	testkit.Eventually(t, stream+" has a leader", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		leader = c.nodes[s.CachedInfo().Cluster.Leader]
		return leader != nil
	})
	return leader
}

// awaitReplicas waits until every replica of the streams is online and current.
func (c *cluster) awaitReplicas(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, stream := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		testkit.Eventually(t, "all replicas of "+stream+" are current", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s, err := js.Stream(ctx, stream)
			if err != nil {
				return false
			}
			peers := s.CachedInfo().Cluster
			for _, p := range peers.Replicas {
				if !p.Current || p.Offline {
					return false
				}
			}
			return peers.Leader != "" && len(peers.Replicas) == len(c.nodes)-1
		})
	}
}

// The leader of three NATS servers is killed under load, and restarts. The others hold what it confirmed: nothing is
// lost, duplicated or retried.
func TestNATSLeaderIsKilled(t *testing.T) {
	t.Parallel()
	killLeaders(t, newSQLite(t), 60, events.StreamRequests)
}

// killLeaders kills the leaders of these streams one after the other, under load.
func killLeaders(t *testing.T, d testDatabase, requests int, streams ...string) {
	t.Helper()
	c := startCluster(t)
	startReplicas(t, 2, settings(d.env, with("NATS_URL", c.urls), with("NATS_REPLICAS", "3")))
	js := natstest.JetStream(t, c.urls)
	f := startLoad(t, js, requests, 20*time.Millisecond)
	for i, stream := range streams {
		f.awaitPublished(t, requests*(i+1)/(len(streams)+1))
		if i > 0 {
			c.awaitReplicas(t, js)
		}
		leader := c.leader(t, js, stream)
		leader.kill()
		c.leader(t, js, stream)
		leader.start(t)
	}
	f.awaitAllPublished(t, testkit.Patience)
	c.awaitReplicas(t, js)
	f.finish(t, d, js, testkit.Patience)
}
