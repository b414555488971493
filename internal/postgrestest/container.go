package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"
	"go.uber.org/goleak"
)

const (
	// dockerTimeout bounds requests that a running daemon answers immediately.
	dockerTimeout = 10 * time.Second
	// containerTimeout includes the download of the image.
	containerTimeout = 90 * time.Second
	// portTimeout bounds connecting to a server that has reported to be ready; pingTimeout bounds each try.
	portTimeout = 20 * time.Second
	pingTimeout = 2 * time.Second
)

// GoleakOptions names the goroutines that testcontainers leaves running for the life of the process, for packages that
// check for leaks without Run.
func GoleakOptions() []goleak.Option {
	return []goleak.Option{
		// The connection to the reaper, which removes the container when it breaks.
		goleak.IgnoreAnyFunction("github.com/testcontainers/testcontainers-go.(*Reaper).connect.func1"),
	}
}

// startContainer starts the image; stop removes the container. If the test binary is killed, testcontainers' reaper
// removes it.
func startContainer(ctx context.Context, image string) (_ *server, err error) {
	ctx, cancel := context.WithTimeout(ctx, containerTimeout)
	defer cancel()
	// testcontainers panics if it finds no Docker socket.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("testcontainers: %v", r)
		}
	}()
	log.SetDefault(log.NewNoopLogger()) // it logs the Docker installation at length

	images := []string{image}
	config := testcontainers.ReadConfig()
	if !config.RyukDisabled {
		//nolint:staticcheck // deprecated, and there is no other source of the name
		images = append(images, testcontainers.ReaperDefaultImage)
	}
	if config.Config.HubImageNamePrefix == "" { // otherwise only testcontainers knows the names
		if err := haveImages(ctx, images); err != nil {
			return nil, err
		}
	}

	cmd := []string{"postgres"}
	for _, s := range settings {
		cmd = append(cmd, "-c", s)
	}
	c, err := postgres.Run(ctx, image,
		testcontainers.WithCmd(cmd...),
		// The image starts the server twice: for its own initialisation, without TCP, and then permanently.
		testcontainers.WithWaitStrategyAndDeadline(containerTimeout,
			wait.ForLog("database system is ready to accept connections").WithOccurrence(2)),
	)
	remove := func(ctx context.Context) error {
		if c == nil {
			return nil
		}
		return c.Terminate(ctx, testcontainers.StopTimeout(0))
	}
	abandon := func(err error) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if rerr := remove(ctx); rerr != nil {
			return fmt.Errorf("%w (and remove the container: %w)", err, rerr)
		}
		return err
	}
	if err != nil {
		return nil, abandon(err)
	}
	raw, err := c.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return nil, abandon(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, abandon(err)
	}
	if u, err = awaitPort(ctx, u); err != nil {
		return nil, abandon(err)
	}
	return &server{name: "container " + image, url: u, stop: remove}, nil
}

// awaitPort waits for the port of the host, which may accept connections a moment later than the server, and returns
// the URL that works.
//
// Inside a container testcontainers assumes that the Docker daemon is outside, and returns the gateway. The daemon may
// also run in the same container; then the port is on the loopback address.
func awaitPort(ctx context.Context, u *url.URL) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, portTimeout)
	defer cancel()
	loopback := *u
	loopback.Host = net.JoinHostPort("127.0.0.1", u.Port())
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var errs []error
		for _, u := range []*url.URL{u, &loopback} {
			err := ping(ctx, u)
			if err == nil {
				return u, nil
			}
			errs = append(errs, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("takes no connections: %w", errors.Join(errs...))
		case <-tick.C:
		}
	}
}

func ping(ctx context.Context, u *url.URL) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return withConn(ctx, u, func(c *pgx.Conn) error { return c.Ping(ctx) })
}

// haveImages pulls missing images and tries each once: testcontainers itself would retry until the deadline, even if
// no registry is reachable.
func haveImages(ctx context.Context, images []string) error {
	docker, err := dockerClient(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = docker.Close() }()
	for _, image := range images {
		if _, err := docker.ImageInspect(ctx, image); err == nil {
			continue
		}
		pull, err := docker.ImagePull(ctx, image, client.ImagePullOptions{})
		if err == nil {
			err = pull.Wait(ctx)
		}
		if err != nil {
			return fmt.Errorf("pull image %s: %w", image, err)
		}
	}
	return nil
}

func dockerClient(ctx context.Context) (*testcontainers.DockerClient, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	if _, err := docker.Ping(ctx, client.PingOptions{}); err != nil {
		_ = docker.Close()
		return nil, fmt.Errorf("docker: %w", err)
	}
	return docker, nil
}
