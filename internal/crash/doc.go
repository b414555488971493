// Package crash marks the places between two durable effects, at which a test kills the process.
//
// In the program as it is built, [Point] does nothing and costs nothing. Built with the tag crashpoints it
// ends the process by SIGKILL when it comes to the place that CRASH_AT names (on the subject that
// CRASH_ABOUT names, where that is set): nothing is flushed, closed or said, as when the machine's memory
// killer strikes.
package crash
