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
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)? ?(ms|µs|s)\b`), "DURATION", false},
	{regexp.MustCompile(`\b\d[\d.,]* \w+/s\b`), "RATE", false},
	{regexp.MustCompile(`position \d[\d,]*`), "POSITION", false},
	{regexp.MustCompile(`([\s(@])\d[\d,]*\d(/s)?\b`), "${1}NUMBER", false}, // no single digit, and nothing within a word
	{regexp.MustCompile(`\b53\d{4}\b`), "INVOICE", false},                  // they are placed several at a time
	{regexp.MustCompile(`(?m)( )\d[\d,]*$`), "${1}NUMBER", false},          // positions stand in the last column
}

// aside is what pages do not show: bars, as they are where there is no terminal, and lines of a log.
var aside = regexp.MustCompile(`(?m)^([\w@ -]+: (started|.*done)|(\S+ \S+ )?(INFO|WARN) .*)\n`)

// alike is a text without what varies, and however wide its columns are.
func alike(text string) string {
	text = aside.ReplaceAllString(text, "")
	for _, v := range varies {
		text = v.what.ReplaceAllString(text, v.is)
	}
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines.WriteString(line + "\n")
		}
	}
	return lines.String()
}

// compare says how what was printed differs from what the page shows. A line of "…" is any number of lines,
// and "…" within a line is anything.
func compare(shows, printed string) error {
	pattern := regexp.QuoteMeta(alike(shows))
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, `(?:.*\n)*?`)
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	if regexp.MustCompile(`\A` + pattern + `\z`).MatchString(alike(printed)) {
		return nil
	}
	return fmt.Errorf("the page shows\n\n%s\nand this was printed\n\n%s", shows, printed)
}
