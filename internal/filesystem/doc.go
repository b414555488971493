// Package filesystem creates files and directories on file systems that lack operations: hard links, modes, some kinds
// of locks, syncs of directories. For each missing operation it has another way, or [System.Try] refuses the directory
// by name before anything is stored in it. [ReadRegular] reads a file that an operator gives.
//
// Invariants:
//
//  1. The modes of what it creates, 0644 and 0755, do not depend on the umask.
//  2. [System.Place] never replaces a file, unless the file system has neither hard links nor a rename that fails if
//     the name is taken. Then it checks first, and the caller excludes others.
//  3. A sync of a file that fails, or that the file system does not have, is an error. Only the sync of a directory
//     is skipped on a file system that does not support it: [System.Try] reports that.
package filesystem
