package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"example.com/tenant-provisioner/internal/buildinfo"
)

// manCommand writes the manual pages for packages. Their date is SOURCE_DATE_EPOCH, by default today.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Hidden:  true, // packages have the pages
		Short:   "Write the manual pages of all commands into a directory",
		Example: "  consumer man /usr/local/share/man/man1",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			prepareForMan(root)
			return doc.GenManTree(root, &doc.GenManHeader{
				Section: "1", Source: "consumer " + buildinfo.Version(), Manual: "Tenant provisioner",
			}, args[0])
		},
	}
}

// prepareForMan makes the texts of a command and of those below it Markdown, which the pages are made from.
func prepareForMan(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.Short, cmd.Long = manText(cmd.Short), manText(cmd.Long)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = manText(f.Usage) })
	for _, c := range cmd.Commands() {
		prepareForMan(c)
	}
}

var (
	manTerm       = regexp.MustCompile(`(?m)^  (\S.*)\n      `)
	manDefinition = regexp.MustCompile(`\n      `)
)

// manText escapes Markdown's characters, and converts a list of terms, each with its definition in indented lines below
// it, to Markdown's list of definitions.
func manText(text string) string {
	text = strings.NewReplacer("_", `\_`, "*", `\*`, "<", `\<`).Replace(text)
	return manDefinition.ReplaceAllString(manTerm.ReplaceAllString(text, "\n$1\n: "), " ")
}
