package sqlite

var otherLockMethods map[string]lockMethod
