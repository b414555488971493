// Package doctest keeps the documents and the files of deploy/ true. It has no code but its tests; make test runs
// them.
//
// What it promises of README.md and of every document below docs/:
//
//  1. Every shell command is run as it stands, document by document, from the first to the last, against a service
//     at work, and ends as the document says: with exit code 0, or with the one that a comment behind it names
//     ("# exits 1"). What cannot be run here (containers, clusters, other machines) stands in one table, with where it
//     is run or checked instead.
//  2. Every code block says what it is: sh is run; go is a part of a compiled example; ini is an environment whose
//     variables the program has; json and yaml can be read; text is output, or a drawing.
//  3. Every command, flag and make target that a sentence names is there, and so is every file.
//  4. Every link leads somewhere: to a file that is there, to a heading that it has.
//  5. The runbook has a section for every cause code and every alert, and no other.
//  6. docs/asyncapi.yaml is AsyncAPI 3, its references resolve, its examples are those of package events and pass their
//     schemas, and its names are those of the code.
//
// And of deploy/: the manifests hold only fields that Kubernetes knows, and they and the unit agree with the program on
// ports, paths, variables and how long a stop may take.
//
// Documents name servers that are nobody's, which stand for servers of the tests: see servers in commands_test.go.
package doctest
