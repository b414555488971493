package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/internal/pipeline"
)

// connectionLifetime bounds the growth of a connection's relation cache: about 0.16 MB for each tenant touched.
const connectionLifetime = 10 * time.Minute

// Idle connections are closed soon, because another replica may be waiting for one. Probes keep one in use.
const (
	connectionIdleTime      = 15 * time.Second
	connectionCheckInterval = 5 * time.Second
)

// connector makes the settings of each new connection. It reads the URL, the environment and the files that they name
// again each time: certificates, keys and passwords are renewed while the service runs. It looks the names of all hosts
// up side by side, and divides the time among their addresses, so that a host that does not answer does not keep the
// others from being used.
type connector struct {
	config Config
	adjust func(*pgx.ConnConfig) // changes the settings of this kind of connection
	tracer pgx.QueryTracer       // nil: nothing is traced
	lookup pgconn.LookupFunc
	within time.Duration // lookupTimeout

	waitingFor atomic.Pointer[string] // names that are, or were last, not answered; nil: none
	tries      atomic.Int32           // since a connection last succeeded
}

func (c Config) connector(adjust func(*pgx.ConnConfig)) *connector {
	k := &connector{config: c, adjust: adjust, lookup: lookUp, within: lookupTimeout}
	if c.Traces != nil {
		k.tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(c.Traces), otelpgx.WithDisableAcquireTracer())
	}
	return k
}

// settings returns the settings of a connection that is to be made now. Its errors are outages: what is read again was
// valid when the process started.
func (k *connector) settings(ctx context.Context) (*pgx.ConnConfig, error) {
	conn, err := k.config.current()
	if err != nil {
		return nil, &pipeline.Fault{
			Class: pipeline.Outage, Message: "cannot make new connections to PostgreSQL", Shared: true, Lost: true, Err: err,
		}
	}
	conn.Tracer = k.tracer
	k.adjust(conn)
	k.prepare(ctx, conn)
	return conn, nil
}

// connect makes a connection outside of a pool.
func (k *connector) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := k.settings(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		k.succeeded()
	}
	return conn, err
}

// succeeded records that a connection was made.
func (k *connector) succeeded() { k.tries.Store(0) }

// connectTime is how long connecting takes, for all hosts together, after their names are known.
func (k *connector) connectTime() time.Duration {
	if conn, err := k.config.connConfig(); err == nil {
		return conn.ConnectTimeout
	}
	return connectTimeout
}

// openTimeout is how long a first connection takes, with the time to look names up.
func (k *connector) openTimeout() time.Duration { return k.within + k.connectTime() + time.Second }

// openPool returns a pool whose connections are made with settings that are read again for each.
func (k *connector) openPool(
	ctx context.Context, connections int, afterConnect func(context.Context, *pgx.Conn) error,
) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig("sslmode=disable") // its connections are replaced
	if err != nil {
		return nil, fmt.Errorf("configure the connections to PostgreSQL: %w", err)
	}
	if config.ConnConfig, err = k.config.connConfig(); err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = k.tracer
	config.MaxConns = int32(connections) //nolint:gosec // bounded by the configuration
	config.PingTimeout = pingTimeout
	config.MaxConnLifetime = connectionLifetime
	config.MaxConnLifetimeJitter = connectionLifetime / 5
	config.MaxConnIdleTime, config.HealthCheckPeriod = connectionIdleTime, connectionCheckInterval
	config.BeforeConnect = func(ctx context.Context, next *pgx.ConnConfig) error {
		now, err := k.settings(ctx)
		if err == nil {
			*next = *now
		}
		return err
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		k.succeeded()
		return afterConnect(ctx, conn)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return pool, nil
}
