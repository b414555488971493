package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// loginMethodVersion is the first version that shows how a session was authenticated.
const loginMethodVersion = 160000

// Password is a password that expires, with which a role logs in.
type Password struct {
	Role    string
	Expires time.Time
	Left    time.Duration // by the server's clock
}

// Renew returns the SQL that renews it, for an administrator to complete.
func (p Password) Renew() string {
	return "ALTER ROLE " + quote(p.Role) + " PASSWORD '…' VALID UNTIL 'infinity';"
}

// passwordMethods are the methods of authentication with which the server checks when a role's password expires.
var passwordMethods = map[string]bool{"scram-sha-256": true, "md5": true, "password": true}

// readPassword reads when the password expires with which the role logs in. It needs the pooler.
func (v *ServerInfo) readPassword(ctx context.Context, conn *pgx.Conn, q queries) error {
	var p Password
	var seconds float64
	err := scanOptional(&p.Role, &p.Expires, &seconds)(conn.QueryRow(ctx, q.PasswordExpiry))
	if err != nil || p.Role == "" {
		return err
	}
	p.Left = time.Duration(seconds * float64(time.Second))
	// An older server does not show whether it has checked the password. If it has, it would have refused an expired one,
	// unless this session is an old one of a pooler.
	checked := conn.Config().Password != "" && (p.Left > 0 || v.Pooler.Stands)
	if v.Version >= loginMethodVersion {
		var method string
		if err := conn.QueryRow(ctx, q.LoginMethod).Scan(&method); err != nil {
			return err
		}
		checked = passwordMethods[method]
	}
	if checked {
		v.Password = &p
	}
	return nil
}
