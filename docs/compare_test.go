//go:build unix

package docs_test

import (
	"fmt"
	"regexp"
	"strings"
)

// varies is what may be another one each time, and what stands for it.
var varies = []struct {
	what  *regexp.Regexp
	is    string
	learn bool // readers type it over
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME", true},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d+\.\d+)?`), "ID", true}, // a token has two numbers behind it
	{regexp.MustCompile(`\b[0-9a-f]{32,64}\b`), "HASH", false},
	{regexp.MustCompile(`\S+/[A-Z2-7]{8}\b`), "WORKER", false},
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost):\d+`), "ADDRESS", true},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)\b`), "DURATION", false},
	{regexp.MustCompile(`position \d[\d,]*`), "POSITION", false},
	{regexp.MustCompile(`([\s(@])\d[\d,]*\d(/s)?\b`), "${1}NUMBER", false}, // no single digit, and nothing within a word
	{regexp.MustCompile(`\b53\d{4}\b`), "INVOICE", false},                  // they are placed several at a time
	{regexp.MustCompile(`(?m)( )\d[\d,]*$`), "${1}NUMBER", false},          // positions stand in the last column
}

// bars is how bars look where there is no terminal.
var bars = regexp.MustCompile(`(?m)^[\w@ -]+: (started|.*done)\n`)

// alike is a text without what varies, and however wide its columns are.
func alike(text string) string {
	text = bars.ReplaceAllString(text, "")
	for _, v := range varies {
		text = v.what.ReplaceAllString(text, v.is)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// compare says how what was printed differs from what the page shows. A line of "…" is any number of lines,
// and "…" within a line is anything.
func compare(shows, printed string) error {
	pattern := regexp.QuoteMeta(alike(shows))
	pattern = regexp.MustCompile(`(?m)^…(\n|\z)`).ReplaceAllString(pattern, `(?:.*(?:\n|\z))*?`)
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	if regexp.MustCompile(`\A` + pattern + `\n?\z`).MatchString(alike(printed)) {
		return nil
	}
	return fmt.Errorf("the page shows\n\n%s\nand this was printed\n\n%s", shows, printed)
}
