package faults

import (
	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Family is a family of codes.
type Family string

// The families.
const (
	PostgreSQL Family = "SQLSTATE"  // five characters, or the two of a class for codes without a row of their own
	SQLite     Family = "SQLite"    // names of primary result codes
	System     Family = "errno"     // names of error numbers
	Client     Family = "NATS"      // texts of the client library's errors
	JetStream  Family = "JetStream" // error codes, or the three-digit code that comes with each
)

// Meaning is how an error is handled.
type Meaning struct {
	Class pipeline.Class
	Code  events.CauseCode // if the class is Permanent and the fault a database's
	Hint  string           // for people: what is wrong and what to do; empty: the error's own text is enough
	Busy  bool             // another process has to finish first: see [pipeline.ErrBusy]
}

// Row is a group of errors with the same meaning. For a database the meaning depends on where the error occurs. For
// NATS and JetStream, whose errors occur in publications, it does not: Own and Shared are equal.
type Row struct {
	Family Family
	Codes  []string
	What   string
	Own    Meaning // in what belongs to one tenant: its schema or file
	Shared Meaning // in what all requests share: the connection, the registry, the ledger, the pool
	Why    string
}

// The possible meanings. An error in what all requests share fails no request, unless the request's own content causes
// it.
var (
	outage = Meaning{Class: pipeline.Outage}
	// A transient fault costs an attempt only if a rehearsal for a scratch tenant succeeds: see [pipeline.Database].
	retried   = Meaning{Class: pipeline.Transient}
	conflict  = fails(events.CauseSchemaInvalid, "the schema contains objects that conflict with the tenant's definition")
	damaged   = fails(events.CauseSchemaInvalid, "the tenant's file is damaged; restore it, or move it")
	forbidden = fails(events.CausePermissionDenied, "the file system denies access; grant the permission")
	refused   = Meaning{Class: pipeline.Permanent}
)

func fails(code events.CauseCode, hint string) Meaning {
	return Meaning{Class: pipeline.Permanent, Code: code, Hint: hint}
}

func pauses(hint string) Meaning { return Meaning{Class: pipeline.Outage, Hint: hint} }

func retry(hint string) Meaning { return Meaning{Class: pipeline.Transient, Hint: hint} }

// everywhere returns a row whose meaning does not depend on where the error occurs.
func everywhere(f Family, m Meaning, what, why string, codes ...string) Row {
	return Row{Family: f, Codes: codes, What: what, Own: m, Shared: m, Why: why}
}

// Table has all known errors.
//
// Sources: PostgreSQL 18, appendix A; https://www.sqlite.org/rescode.html; errno(3); nats.go 1.55; nats-server 2.15.2,
// server/errors.json.
var Table = []Row{
	// PostgreSQL: faults of the service.
	everywhere(PostgreSQL, outage, "connection exceptions", "the connection is lost", "08"),
	everywhere(PostgreSQL, outage, "the server is starting or shutting down, has crashed, or has ended the session",
		"it comes back, or another server takes over", "57P01", "57P02", "57P03", "57P04", "57P05"),
	everywhere(PostgreSQL, outage, "a transaction was idle, or ran, for too long",
		"this process or the server was frozen", "25P03", "25P04"),
	everywhere(PostgreSQL, pauses("the database is read-only; it is a standby, or "+
		"default_transaction_read_only is on"), "read-only transaction",
		"nothing can be written", "25006"),
	everywhere(PostgreSQL, pauses("the server refuses the login; check user and password in DATABASE_URL, or the "+
		"password file, and the server's pg_hba.conf"), "the login is refused", "all requests use the same login", "28"),
	everywhere(PostgreSQL, pauses("there is no such database; create it, or correct DATABASE_URL and restart"),
		"no such database", "all requests use the same database", "3D"),
	everywhere(PostgreSQL, pauses("the server's disk is full; free disk space"), "disk full",
		"all requests share the disk", "53100"),
	everywhere(PostgreSQL, pauses("no connection is left; see max_connections, the role's limit, CONCURRENCY"),
		"too many connections", "all requests share the server", "53300"),
	// PostgreSQL: faults that the rehearsal attributes to one request or to all.
	everywhere(PostgreSQL, retry("the server's lock table or memory is full; see max_locks_per_transaction"),
		"out of memory or locks",
		"another session, such as pg_dump, holds them, or this tenant needs more than others", "53200"),
	everywhere(PostgreSQL, retried, "other insufficient resources",
		"a limit of the server, or of this tenant", "53"),
	everywhere(PostgreSQL, retried, "a program limit is exceeded", "a limit of the server, or of this tenant", "54"),
	everywhere(PostgreSQL, retried, "system errors: a file that cannot be read or is missing, input or output",
		"one table's file, or the disk", "58"),
	everywhere(PostgreSQL, retried, "internal errors, damaged data or indexes",
		"in one table, or in the catalogue", "XX", "F0"),
	everywhere(PostgreSQL, retried, "a lock was not acquired in time",
		"a lock on one tenant, or on the whole catalogue", "55P03"),
	everywhere(PostgreSQL, retried, "an object is in use, or in the wrong state",
		"an object of one tenant, or of the catalogue", "55"),
	everywhere(PostgreSQL, retried, "a statement was cancelled or took too long",
		"by an operator, or because the server is slow", "57014", "57"),
	{
		PostgreSQL,
		[]string{"0A", "26"},
		"a prepared statement that is out of date or missing; an unsupported feature", retried,
		outage,
		"a column of the registry was altered, or a pooler shares sessions: the service opens new sessions",
	},
	everywhere(PostgreSQL, retried, "serialization failures, deadlocks", "they are transient", "40"),
	everywhere(PostgreSQL, retried, "a row or an object already exists, or a row violates a constraint",
		"a lost race, such as with DocEX; the next attempt sees the result", "23", "42P06", "42P07"),
	everywhere(PostgreSQL, retried, "errors raised by functions: triggers, event triggers, extensions",
		"they may concern one tenant or all", "P0", "38", "39", "2F", "09", "27", "44"),
	// PostgreSQL: faults of one request.
	{
		PostgreSQL,
		[]string{"42501"},
		"a permission is missing",
		fails(events.CausePermissionDenied, "the database role lacks a permission; grant it"),
		retry("the database role lacks a permission; grant it"),
		"the schema belongs to another role; all requests need the permission on the registry",
	},
	{
		PostgreSQL,
		[]string{"42P01", "42703", "42704", "42804", "42809", "42830", "42P16", "42P17", "42710"},
		"objects that are missing, or of the wrong kind or type", conflict, retried,
		"the schema contains other objects; the registry was changed by hand",
	},
	{
		PostgreSQL,
		[]string{"22"},
		"data exceptions", retried,
		fails(events.CauseInvalidRequest, "the database cannot store a value of the request; send other text"),
		"such as text with a NUL",
	},
	everywhere(PostgreSQL, retried, "other statement errors", "an object was changed by hand", "42"),
	everywhere(PostgreSQL, retried, "not expected from this program's statements",
		"only a trigger, an extension or a proxy can send them",
		"00", "01", "02", "03", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "25", "2B", "2D", "34", "3B", "3F",
		"72",
		"HV"),

	// SQLite.
	everywhere(SQLite, pauses("the disk is full; free disk space"), "the disk is full",
		"all requests share the disk", "FULL"),
	everywhere(SQLite, outage, "out of memory", "all requests share the memory", "NOMEM"),
	{
		SQLite,
		[]string{"PERM", "AUTH"},
		"the file, or the operation, is not permitted", forbidden, retried,
		"one tenant's file; all requests share the registry",
	},
	{
		SQLite,
		[]string{"CORRUPT"},
		"the file is damaged", damaged, pauses("the registry is damaged; restore it"),
		"one tenant's file; all requests share the registry",
	},
	{
		SQLite,
		[]string{"NOTADB"},
		"the file is not a database", damaged,
		pauses("the registry is not a SQLite database; restore it"), "one tenant's file; all requests share the registry",
	},
	{
		SQLite,
		[]string{"BUSY"},
		"the file is locked by another process",
		Meaning{Class: pipeline.Transient, Hint: "the file is locked by another process", Busy: true},
		pauses("the registry is locked by another process"), "such as DocEX, which releases it again",
	},
	{
		SQLite,
		[]string{"ERROR"},
		"a statement does not match the schema", retried,
		pauses("the registry lacks a table or column; restore it"), "one tenant's file; all requests share the registry",
	},
	{
		SQLite,
		[]string{"IOERR", "CANTOPEN", "READONLY"},
		"the file, or one beside it, cannot be read, opened or written",
		retried, outage, "one tenant's file, or the disk",
	},
	everywhere(SQLite, retried, "a row violates a constraint", "a lost race, such as with DocEX", "CONSTRAINT"),
	everywhere(SQLite, retried, "locked within this process, aborted, interrupted, or changed concurrently",
		"they are transient", "LOCKED", "ABORT", "INTERRUPT", "SCHEMA", "PROTOCOL"),
	everywhere(SQLite, retried, "a value does not fit", "one tenant's data", "TOOBIG", "MISMATCH", "RANGE"),
	everywhere(SQLite, retried, "not expected from this program's statements", "only a bug in the program can cause them",
		"INTERNAL", "NOTFOUND", "EMPTY", "MISUSE", "NOLFS", "FORMAT", "NOTICE", "WARNING", "ROW", "DONE", "OK"),

	// The operating system, in operations on files.
	everywhere(System, pauses("the disk is full, or the quota is used up; free disk space"), "no space, or quota used up",
		"all requests share the disk", "ENOSPC", "EDQUOT"),
	everywhere(System, outage, "no descriptor, memory or lock is available", "all requests share them",
		"EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENOLCK"),
	{
		System,
		[]string{"EACCES", "EPERM"},
		"a permission is missing", forbidden, retried,
		"one tenant's file or directory; all requests share the registry",
	},
	{
		System,
		[]string{
			"EIO", "EROFS", "ESTALE", "ENODEV", "ENXIO", "ENOMEDIUM", "EMEDIUMTYPE", "EREMOTEIO", "EUCLEAN", "EFSCORRUPTED",
			"ESHUTDOWN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ECONNRESET", "ECONNREFUSED",
			"ECONNABORTED", "ENOTCONN", "EREMCHG", "ENOLINK", "ECOMM", "EPROTO", "EBADMSG", "ENOKEY", "EKEYEXPIRED",
			"EKEYREVOKED", "EKEYREJECTED", "EHWPOISON",
		},
		"the disk, or the machine that it is on, has failed", retried, outage, "one tenant's file or mount, or the disk",
	},
	{
		System,
		[]string{
			"ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", "ELOOP", "ENAMETOOLONG", "EXDEV", "EBUSY", "ETXTBSY",
			"EFBIG", "EOVERFLOW", "ENOTSUP", "EAGAIN", "EINTR", "EINVAL", "EDEADLK", "EBADF", "ESPIPE", "EPIPE", "ENOSYS",
			"ENOTTY", "ENOTBLK",
		},
		"another object is in its place, or it was changed concurrently", retried, retried,
		"one tenant's path, or that of the storage",
	},
	everywhere(System, retry("the directory has as many subdirectories as its file system allows; move the storage "+
		"directory to ext4 or XFS"), "too many subdirectories", "all tenants' directories are in one", "EMLINK"),
	everywhere(System, retried, "not expected from operations on files", "only a bug in the program can cause them",
		"ESRCH", "E2BIG", "ENOEXEC", "ECHILD", "EFAULT", "EDOM", "ERANGE", "ENOMSG", "EIDRM", "ECHRNG", "EL2NSYNC",
		"EL3HLT",
		"EL3RST", "ELNRNG", "EUNATCH", "ENOCSI", "EL2HLT", "EBADE", "EBADR", "EXFULL", "ENOANO", "EBADRQC", "EBADSLT",
		"EBFONT",
		"ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENONET", "ENOPKG", "EREMOTE", "EADV", "ESRMNT", "EMULTIHOP", "EDOTDOT",
		"ENOTUNIQ", "EBADFD", "ELIBACC", "ELIBBAD", "ELIBSCN", "ELIBMAX", "ELIBEXEC", "EILSEQ", "ERESTART", "ESTRPIPE",
		"EUSERS",
		"ENOTSOCK", "EDESTADDRREQ", "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT",
		"EPFNOSUPPORT",
		"EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL", "ENETRESET", "EISCONN", "ETOOMANYREFS", "EALREADY", "EINPROGRESS",
		"ENOTNAM", "ENAVAIL", "EISNAM", "ECANCELED", "EOWNERDEAD", "ENOTRECOVERABLE", "ERFKILL"),

	// NATS: errors of the client library, in publications. An error that does not concern the message is retried for as
	// long as the message is held; until it ends, the service is not ready.
	everywhere(Client, outage, "no connection, no response, or a missing permission", "it comes back, or is granted again",
		"account authentication expired", "authentication expired", "authentication revoked", "authorization violation",
		"connection closed", "connection draining", "connection is not tls", "connection reconnecting",
		"draining connection timed out", "invalid jetstream api response", "invalid jetstream publish response",
		"leadership change", "maximum account active connections exceeded", "no heartbeat received",
		"no responders available for request", "no response from stream", "no servers available for connection",
		"outbound buffer limit exceeded", "permissions violation", "protocol exception, INFO not received",
		"secure connection not available", "secure connection required", "server is disconnected",
		"server maximum connections exceeded", "slow consumer, messages dropped", "timeout", "tls error"),
	everywhere(Client, refused, "the message cannot be sent as it is",
		"a smaller dead letter is published, and at last none",
		"headers not supported by this server", "invalid message or message nil", "invalid subject", "invalid subject name",
		"maximum payload exceeded", "message could not decode headers"),
	everywhere(Client, outage, "any other error", "nothing is known to be wrong with the message", "*"),

	// JetStream, in publications.
	everywhere(JetStream, retried, "the stream has stored another message first", "the ledger is read again",
		"10071", "10164"),
	everywhere(JetStream, outage, "the account is full, or has no limits",
		"it ends when space is freed or limits are set", "10002", "10120"),
	everywhere(JetStream, outage, "no such stream", "the service creates it again, if it may", "404"),
	everywhere(JetStream, outage, "the same message id is being processed; too many requests",
		"it is transient", "409", "429"),
	everywhere(JetStream, outage, "a server error, a full stream or disk, no leader",
		"it is transient, or an operator fixes it",
		"500", "503"),
	everywhere(JetStream, refused, "the message is rejected",
		"a smaller dead letter is published, and at last none", "400", "412"),
}
