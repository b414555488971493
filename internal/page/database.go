package page

import "time"

// Database is how this process stands with its database.
type Database struct {
	InUse, Idle, Most int           // connections
	Waits             int64         // for a connection, since the start
	Waited            time.Duration // all of those together
	Prepared          *Prepared     // nil: boundaries are not prepared
}

// Prepared is the pool of prepared boundaries.
type Prepared struct {
	Ready, Target int64 // of all programs
	Taken, Misses int64 // by attempts of this process, since the start
}
