//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

var otherLockings = map[string]locking{"flock": {lockWhole, isLockedWhole}}
