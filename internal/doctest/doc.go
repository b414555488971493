// Package doctest checks that the documents and the files of deploy/ are true. It has only tests; make test runs them.
//
// README.md, CONTRIBUTING.md, SECURITY.md and every document below docs/:
//
//  1. Every shell command is run as it is written, document by document, from the first to the last, against a running
//     service. It must exit with code 0, or with the code that a comment after it names ("# exits 1"). Commands that
//     cannot be run here (containers, clusters, other machines) are in one table, with the place where each is run or
//     checked instead.
//  2. Every code block names its language: sh is run; go is part of a compiled example; python is run
//     against the service, typescript is checked for syntax; ini is an environment whose
//     variables the program has; json and yaml must parse; text is output, or a drawing.
//  3. Every command, flag, make target and file that a sentence names exists.
//  4. Every link leads to a file that exists, and to a heading in it.
//  5. The runbook has a section for every cause code and every alert, and no others.
//  6. docs/asyncapi.yaml is AsyncAPI 3, its references resolve, its examples are those of package events and pass their
//     schemas, and its names are those of the code.
//
// deploy/: the manifests have only fields that Kubernetes knows. The manifests and the unit agree with the program on
// ports, paths, variables and the time that a stop may take.
//
// Documents use example host names, which the tests replace with servers of their own: see servers in commands_test.go.
package doctest
