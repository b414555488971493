package sqlite

var otherLockings map[string]locking
