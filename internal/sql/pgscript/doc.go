// Package pgscript judges initialisation scripts for PostgreSQL before they run, by PostgreSQL's own grammar. It
// splits a script into its statements, and reports each syntax error and each statement that a script may not have,
// with file, line and what to do instead.
//
// A script runs in the tenant's transaction, in the tenant's schema, with the rights of the service. Refused is what
// leaves one of the three: transaction statements, names qualified by another schema, settings, sessions, roles,
// databases, files, programs. The table of statements is complete: a statement that it does not list is refused.
//
// It finds mistakes; it is not a sandbox. It sees:
//
//   - every statement of a script, and each part of it;
//   - the bodies of functions and procedures in SQL and PL/pgSQL, and of DO blocks;
//   - in PL/pgSQL the text of EXECUTE, as far as it is constant: a string, strings joined by ||, a call of format().
//     What is computed counts as one name or one value of the tenant's own. If the text can then not be parsed, it is
//     not judged;
//   - the names in constants that are cast to regclass and the like, and those of nextval(), setval() and currval().
//
// It does not see, and leaves to the check of the transaction before its commit:
//
//   - what names mean: a table of pg_catalog, or a view or function of an extension that acts outside of the schema;
//   - text that is computed, and text that other functions than EXECUTE run, such as query_to_xml();
//   - names in PL/pgSQL that its grammar reads as variables, and subscripts on the left of an assignment;
//   - what the server's version lacks or adds: the grammar is that of PostgreSQL 17. Newer syntax is a syntax error.
//
// Parsing is WebAssembly. It is compiled at the first statement, which takes seconds of processor time and, until it
// ends, 250 MB of memory, of which 25 MB stay. A program that parses no script pays for nothing of this. Where a
// process may not have executable memory, each statement is refused: the interpreter cannot return errors of the
// grammar.
package pgscript
