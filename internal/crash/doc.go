// Package crash marks the places between two durable effects, where a test kills or freezes the process.
//
// In a normal build [Point] does nothing and costs nothing. With the build tag crashpoints it reads the environment:
//
//   - CRASH_AT names the place at which the process kills itself by SIGKILL: nothing is flushed, closed or logged, as
//     when the kernel's out-of-memory killer strikes.
//   - FREEZE_AT names the place at which the process stops itself by SIGSTOP, once, until it receives SIGCONT: it
//     renews no lease and answers no server, as when a virtual machine is suspended.
//
// CRASH_ABOUT and FREEZE_ABOUT limit that to the tenant, or other subject, that they name.
package crash
