package postgres

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connConfig reads the URL, the environment and the files that they name, and returns the settings of a connection for
// work or for reading. Its errors contain no password.
func (c Config) connConfig() (*pgx.ConnConfig, error) {
	if err := c.checkFiles(); err != nil {
		return nil, err
	}
	conn, err := pgx.ParseConfig(driverURL(c.URL))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source(), err)
	}
	conn.LookupFunc = nil
	if err := applyParameters(conn); err != nil {
		return nil, err
	}
	// DDL differs for each tenant: preparing it would cost a round trip and fill the cache.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	setDefault(conn.RuntimeParams, "application_name", "tenant-provisioner")
	conn.AfterConnect = configureSession(conn.RuntimeParams)
	conn.RuntimeParams = startParameters(conn.RuntimeParams)
	return conn, nil
}

// current is connConfig with the URL that counts now. Another database needs a new process, because connections to both
// would be used side by side; and so does another role, because tenants would belong to both.
func (c Config) current() (*pgx.ConnConfig, error) {
	first, err := c.connConfig()
	if err != nil || c.CurrentURL == nil {
		return first, err
	}
	role := c.roleOf(first)
	if c.URL, err = c.CurrentURL(); err != nil {
		return nil, err
	}
	now, err := c.connConfig()
	switch {
	case err != nil:
		return nil, err
	case now.Database != first.Database:
		return nil, fmt.Errorf("%s names database %s now, and this process has begun with %s; restart it to use the other",
			source(), now.Database, first.Database)
	case c.roleOf(now) != role:
		return nil, fmt.Errorf("%s names role %s now, and this process has begun with %s, which owns the tenants; add the "+
			"parameter role=%[3]s, with a user who is a member of that role", source(), c.roleOf(now), role)
	}
	return now, nil
}

// roleOf returns the role that owns what a session creates.
func (c Config) roleOf(conn *pgx.ConnConfig) string {
	role, _ := c.parameter("role", "")
	return cmp.Or(role, conn.User)
}

// forWork changes the settings of a connection for those of the service: of several hosts it uses the writable one.
func forWork(conn *pgx.ConnConfig) {
	conn.OnNotice = noteUnconfirmed
	if len(conn.Fallbacks) > 0 && conn.ValidateConnect == nil {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
}

func setDefault(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
