package main

// part is software in a module that is not the module's own, or other material that is distributed with the program.
type part struct {
	name     string
	of       string   // the module that contains it, or image
	licences []string // SPDX identifiers or expressions
	note     string   // printed before the texts
	file     string   // the module's file with the text of the licence
	comment  bool     // the text is the first comment of the file
	standard []string // or these texts of the classifier's collection
}

// image is the name under which material is listed that only the container image has.
const image = "container image"

// pgquery embeds PostgreSQL's parser, compiled from C to WebAssembly.
const pgquery = "github.com/wasilibs/go-pgquery"

var parts = []part{
	{
		name: "Unicode data", of: standard, licences: []string{"Unicode-DFS-2016"}, standard: []string{"Unicode-DFS-2016/license.txt"},
		note: "Tables in Go's package unicode, in golang.org/x/text, golang.org/x/net and github.com/rivo/uniseg are made from " +
			"data of the Unicode Character Database. Copyright © 1991-2023 Unicode, Inc. All rights reserved. " +
			"Distributed under the Terms of Use in https://www.unicode.org/copyright.html.",
	},
	{
		name: "libpg_query", of: pgquery, licences: []string{"BSD-3-Clause"}, file: "NOTICE.txt",
		note: "Compiled to WebAssembly.",
	},
	{
		name: "PostgreSQL", of: pgquery, licences: []string{"PostgreSQL"}, file: "internal/cparser/COPYRIGHT",
		note: "Its parser, in libpg_query.",
	},
	{
		name: "xxHash", of: pgquery, licences: []string{"BSD-2-Clause"}, file: "internal/cparser/xxhash.c", comment: true,
		note: "In libpg_query.",
	},
	{
		name: "protobuf-c", of: pgquery, licences: []string{"BSD-2-Clause"}, file: "internal/cparser/protobuf-c.c", comment: true,
		note: "In libpg_query.",
	},
	{
		name: "wasix-libc", of: pgquery,
		licences: []string{"Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "CC0-1.0", "MIT"},
		standard: []string{"Apache-with-LLVM-Exception/license.txt", "BSD-2-Clause/pristine.txt"},
		note: "The C library that libpg_query.so is linked with: https://github.com/wasix-org/wasix-libc, made from wasi-libc. " +
			"Its own code is under the Apache License with LLVM's exception, as the compiler's runtime library; it has parts of " +
			"musl libc (MIT; see there), of cloudlibc (BSD-2-Clause; Copyright (c) 2015-2017 Nuxi, https://nuxi.nl/) and of " +
			"dlmalloc (CC0-1.0).",
	},
	{
		name: "musl libc", of: "modernc.org/libc", licences: []string{"BSD-3-Clause", "MIT"},
		file: "LICENSE-3RD-PARTY.md", note: "Translated to Go, with what else the text names.",
	},
	{
		name: "SQLite", of: "modernc.org/sqlite", licences: []string{publicDomain}, file: "LICENSE-SQLITE",
		note: "Translated from C to Go.",
	},
	{
		name: "Mozilla's root certificates", of: image, licences: []string{"MPL-2.0"}, standard: []string{"MPL-2.0/license.txt"},
		note: "/etc/ssl/certs/ca-certificates.crt of the container image: data, not a part of the program. Its source is " +
			"certdata.txt of Mozilla's NSS, https://hg.mozilla.org/projects/nss, as the Go module " +
			"golang.org/x/crypto/x509roots/fallback distributes it.",
	},
}
