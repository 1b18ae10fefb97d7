package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Output is the form in which a verb prints its results.
type Output string

// The forms that there are.
const (
	Table     Output = "table" // for people
	JSON      Output = "json"  // one object
	JSONLines Output = "jsonl" // an object a line, as they come
)

// OutputFlag gives the verb -o with these forms, the first of them by default. Any other form is a
// [UsageError].
func OutputFlag(cmd *cobra.Command, to *Output, forms ...Output) {
	*to = forms[0]
	cmd.Flags().VarP(&outputValue{to, forms}, "output", "o", "form of the results: "+inWords(forms))
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // the flag is there
		var names []string
		for _, form := range forms {
			names = append(names, string(form))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// outputValue is a pflag.Value.
type outputValue struct {
	to    *Output
	forms []Output
}

func (v *outputValue) String() string { return string(*v.to) }

func (v *outputValue) Type() string { return "form" }

func (v *outputValue) Set(text string) error {
	if !slices.Contains(v.forms, Output(text)) {
		return fmt.Errorf("unknown output format %q: want %s", text, inWords(v.forms))
	}
	*v.to = Output(text)
	return nil
}

func inWords(forms []Output) string {
	var text strings.Builder
	for n, form := range forms {
		switch {
		case n == 0:
		case n == len(forms)-1:
			text.WriteString(" or ")
		default:
			text.WriteString(", ")
		}
		text.WriteString(string(form))
	}
	return text.String()
}

// PrintJSON prints a value as indented JSON.
func PrintJSON(out io.Writer, v any) error {
	encoder := NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// NewEncoder prints each value on a line of its own.
func NewEncoder(out io.Writer) *json.Encoder {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder
}
