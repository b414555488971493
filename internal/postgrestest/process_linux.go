package postgrestest

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is the user that runs the programs, if it is not this process's user.
type owner struct{ uid, gid int }

// processAttributes makes a program end with the thread that started it. PostgreSQL refuses to run as root: for root
// the result names another user, which must own the directory of the server.
func processAttributes() (*syscall.SysProcAttr, *owner, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() != 0 {
		return attr, nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attr, &owner{uid: int(uid), gid: int(gid)}, nil
	}
	return nil, nil, errors.New("postgres does not run as root, and there is neither a user postgres nor nobody")
}
