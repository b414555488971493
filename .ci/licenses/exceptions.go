package main

// publicDomain is the identifier of material without copyright: SPDX has one only for certain dedications.
const publicDomain = "LicenseRef-Public-Domain"

// skipped are files of licences that concern nothing in the program, with the reason.
var skipped = map[string]map[string]string{
	standard: {
		"src/crypto/internal/boring/LICENSE": "BoringCrypto is only linked with GOEXPERIMENT=boringcrypto",
	},
	"modernc.org/memory": {
		"LICENSE-LOGO": "the logo is not in the program",
	},
	"modernc.org/sqlite": {
		"LICENSE-3RD-PARTY.md": "lists other modules, which are listed here if they are in the program",
		"LICENSE-SQLITE_VEC":   "package vec is not in the program",
	},
}

// mentioned are licences outside allowed that comments of compiled files name, with the reason why they impose nothing.
// The reasons are printed.
var mentioned = map[string]map[string]string{
	"modernc.org/libc": {
		"LGPL-2.1": headers,
		gnu:        headers,
	},
}

const headers = "Packages sys/types and uuid/uuid have declarations of types and constants that were generated from " +
	"headers of the GNU C library and of GCC, with the comments of these headers, which name the GNU Lesser General Public " +
	"License 2.1 and, with the GCC Runtime Library Exception, the GNU General Public License 3. Section 5 of the former " +
	"does not restrict object code that uses only data structure layouts, numerical parameters and small macros of a header; " +
	"nor does the exception. The program has no code of either: its C library is musl's."
