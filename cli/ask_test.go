package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfirmTakesYesForAnAnswerAndNothingElse(t *testing.T) {
	t.Parallel()
	for answer, agreed := range map[string]bool{"yes\n": true, " yes \r\n": true, "yes": true, "y\n": false, "\n": false, "": false, "no\nyes\n": false, "yes please\n": false} {
		var stderr bytes.Buffer
		err := Confirmation{Question: "Forget them?", Undone: "nothing was forgotten"}.ask(strings.NewReader(answer), &stderr)
		assert.Equal(t, "Forget them? Type yes: ", stderr.String())
		if agreed {
			assert.NoError(t, err, "%q", answer)
		} else {
			assert.EqualError(t, err, "nothing was forgotten", "%q", answer)
		}
	}
}

func TestConfirmNeverWaitsForAnAnswerWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	cmd := &cobra.Command{}
	cmd.SetIn(strings.NewReader("yes\n"))
	err := Confirm(cmd, Confirmation{Question: "Forget them?", Undone: "nothing was forgotten", Unless: "say --yes if you mean it"})
	require.EqualError(t, err, "nothing was forgotten: there is no terminal to ask at; say --yes if you mean it")
	require.ErrorAs(t, err, new(*UsageError))
	require.NoError(t, Confirm(cmd, Confirmation{Yes: true}))
}
