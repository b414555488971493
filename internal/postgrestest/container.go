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
	// dockerTimeout is for questions that a daemon answers at once, if there is one.
	dockerTimeout = 10 * time.Second
	// containerTimeout covers the download of the image too.
	containerTimeout = 90 * time.Second
	// reachTimeout is for the way to a server that has said to be ready; pingTimeout for each try.
	reachTimeout = 20 * time.Second
	pingTimeout  = 2 * time.Second
)

// GoleakOptions names the goroutines that testcontainers leaves running for the life of the process, for
// packages that look for leaks without Run.
func GoleakOptions() []goleak.Option {
	return []goleak.Option{
		// The connection to the reaper, which removes the container when it breaks.
		goleak.IgnoreAnyFunction("github.com/testcontainers/testcontainers-go.(*Reaper).connect.func1"),
	}
}

// startContainer starts the image, and has it removed again by stop; should the test binary be killed, by
// testcontainers' reaper.
func startContainer(ctx context.Context, image string) (_ *server, err error) {
	ctx, cancel := context.WithTimeout(ctx, containerTimeout)
	defer cancel()
	// testcontainers panics where it finds no Docker socket.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("testcontainers: %v", r)
		}
	}()
	log.SetDefault(log.NewNoopLogger()) // it tells at length about the Docker that it found

	images := []string{image}
	config := testcontainers.ReadConfig()
	if !config.RyukDisabled {
		//nolint:staticcheck // deprecated, and there is no other way to know it
		images = append(images, testcontainers.ReaperDefaultImage)
	}
	if config.Config.HubImageNamePrefix == "" { // else testcontainers alone knows the names
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
		// The image starts the server twice: for its own preparations, without TCP, and then for good.
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
	if u, err = reach(ctx, u); err != nil {
		return nil, abandon(err)
	}
	return &server{name: "container " + image, url: u, stop: remove}, nil
}

// reach waits for the port of the host, which may take connections a moment later than the server, and returns
// the URL that leads there.
//
// Inside a container testcontainers takes the Docker daemon to be outside, and names the gateway. The daemon
// may just as well run beside the tests; then the port is on the loopback address.
func reach(ctx context.Context, u *url.URL) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
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

// haveImages pulls what is missing, and asks once only: testcontainers itself would try again and again until
// the deadline, also where no registry can be reached at all.
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
