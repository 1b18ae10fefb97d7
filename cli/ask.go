package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Confirmation is what a verb that destroys something asks before it does.
type Confirmation struct {
	// Yes is the flag --yes: it does not ask.
	Yes bool
	// Question tells what will be done and what cannot be undone; the answer must be yes.
	Question string
	// Undone is what has not happened then: "nothing was forgotten".
	Undone string
	// Unless completes the line where nobody can be asked: "say --yes if …".
	Unless string
}

// YesFlag gives the verb --yes.
func YesFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "yes", false, "do it without asking")
}

// Confirm returns nil if the user wants it. Where nobody sits at a terminal, only --yes tells: it never waits
// for an answer there.
func Confirm(cmd *cobra.Command, c Confirmation) error {
	if c.Yes {
		return nil
	}
	stdin, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return Usagef("%s: there is no terminal to ask at; %s", c.Undone, c.Unless)
	}
	return c.ask(stdin, cmd.ErrOrStderr())
}

func (c Confirmation) ask(answers io.Reader, stderr io.Writer) error {
	fmt.Fprintf(stderr, "%s Type yes: ", c.Question)
	answer, err := bufio.NewReader(answers).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New(c.Undone)
	}
	return nil
}
