// Package docextest gives tests the registries and tenants that DocEX 2.9.9 makes. Only tests import it.
//
// data holds them as SQL text: data made by running DocEX as its users do, none of its code.
//
//   - postgres.sql is a pg_dump of a database with its registry, docex_system, and three tenants: d1, Docex_Two and one
//     of 30 characters. Only comments and settings are left out, and COPY is INSERT, so that one query runs it.
//   - sqlite_registry.sql is the registry file. DocEX's create() fails on SQLite after it has made the tenant's file,
//     so no tenant is registered.
//   - sqlite_d1.sql is the file that such a failed create() leaves: tables and indexes, no rows.
//
// The texts of sqlite_schema are DocEX's to the last blank. Its files have SQLite's default page size, encoding and
// journal mode, and neither application_id nor user_version, so text loses nothing.
package docextest
