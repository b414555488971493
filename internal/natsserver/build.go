package natsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// Build fills a new directory with streams, from which [Start] can then serve. It runs a server in dir to which only
// fill can connect, and stops it when fill returns. The server syncs nothing: the caller syncs dir afterwards, or
// discards it.
func Build(
	ctx context.Context, dir string, log *slog.Logger, fill func(context.Context, nats.InProcessConnProvider) error,
) (err error) {
	e := &Server{
		options: server.Options{
			ServerName: buildinfo.Name, JetStream: true, StoreDir: dir, JetStreamMaxStore: maxStore, NoSigs: true,
			DontListen: true,
		},
		lock: flock.New(filepath.Join(dir, ".lock")), log: log, reports: repeatlog.New(log),
	}
	unusable, err := e.claimDir(filesystem.OS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.lock.Unlock()) }()
	if unusable != nil {
		return fmt.Errorf("NATS_EMBEDDED_DIR: %w", unusable)
	}
	if err := e.newServer(); err != nil {
		return err
	}
	defer e.shutDown()
	return fill(ctx, e)
}
