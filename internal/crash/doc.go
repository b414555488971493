// Package crash marks the places between two durable effects, at which a test kills or freezes the process.
//
// In the program as it is built, [Point] does nothing and costs nothing. Built with the tag crashpoints it reads
// the environment:
//
//   - CRASH_AT names the place at which the process kills itself by SIGKILL: nothing is flushed, closed or
//     logged, as when the kernel's out-of-memory killer strikes.
//   - FREEZE_AT names the place at which it stops itself by SIGSTOP, once, until it receives SIGCONT: no lease is
//     renewed and no server is answered, as when a virtual machine is suspended.
//
// CRASH_ABOUT and FREEZE_ABOUT limit that to the tenant, or other subject, that they name.
package crash
