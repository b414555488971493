//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

var otherLockMethods = map[string]lockMethod{"flock": {lockWhole, isLockedWhole}}
