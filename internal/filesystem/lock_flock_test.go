//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filesystem

var otherLockMethods = map[string]lockMethod{"flock": {lockWhole, isLockedWhole}}
