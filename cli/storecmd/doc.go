// Package storecmd has the verbs of the command line that need nothing but a store's URL.
package storecmd

import "github.com/spf13/cobra"

// Commands returns the verbs.
func Commands() []*cobra.Command {
	return append(keptCommands(),
		streamsCommand(), streamCommand(), eventsCommand(), tailCommand(), traceCommand(), schemaCommand(),
		appendCommand(), benchCommand(), exportCommand(), importCommand(), backupCommand(), migrateCommand(), commandsCommand(), doctorCommand(),
	)
}
