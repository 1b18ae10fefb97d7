package storecmd

import (
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// keptCommands are the verbs about read models and sagas.
func keptCommands() []*cobra.Command {
	var at stores.Kept
	return cli.KeptVerbs("leftfold", "--store sqlite:shop.db", at.Flags, at.Open)
}
