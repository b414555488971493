package filesystem

var otherLockMethods map[string]lockMethod
