package main

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The size of a character, and of the margin.
const (
	charWidth, lineHeight, fontSize = 8.4, 18, 14
	margin                          = 12
)

// One picture for both grounds: who looks at it says which.
const style = `text{font:14px "DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#24292f;white-space:pre}` +
	`rect{fill:#f6f8fa;stroke:#d0d7de}.b{font-weight:bold}.d{opacity:.65}.r{fill:#c8252c}.g{fill:#1a7f37}` +
	`@media(prefers-color-scheme:dark){text{fill:#d6dde5}rect{fill:#0d1117;stroke:#30363d}.r{fill:#ff7b72}.g{fill:#3fb950}}`

// picture draws what a terminal shows, as tmux captures it: text with the sequences of its colours.
func picture(title, captured string, columns int) string {
	lines := strings.Split(strings.TrimRight(captured, " \n"), "\n")
	width, height := float64(columns)*charWidth+2*margin, len(lines)*lineHeight+2*margin
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&out, "<title>%s</title>\n<style>%s</style>\n", html.EscapeString(title), style)
	fmt.Fprintf(&out, `<rect x=".5" y=".5" width="%.0f" height="%d" rx="6"/>`+"\n", width-1, height-1)
	looks := looks{}
	for n, line := range lines {
		drawLine(&out, line, margin+n*lineHeight+fontSize, &looks)
	}
	return out.String() + "</svg>\n"
}

var sequence = regexp.MustCompile("\x1b\\[([0-9;]*)m|[\x0e\x0f]")

// words are what stands together: each gets its place, so that columns are columns in every font.
var words = regexp.MustCompile(`\S+(?: \S+)*`)

func drawLine(out *strings.Builder, line string, y int, looks *looks) {
	column := 0
	for len(line) > 0 {
		at := sequence.FindStringSubmatchIndex(line)
		run, rest, codes := line, "", ""
		if at != nil {
			run, rest = line[:at[0]], line[at[1]:]
			if at[2] >= 0 {
				codes = line[at[2]:at[3]]
			}
		}
		for _, word := range words.FindAllStringIndex(run, -1) {
			text := run[word[0]:word[1]]
			x := margin + float64(column+utf8.RuneCountInString(run[:word[0]]))*charWidth
			fmt.Fprintf(out, `<text x="%.1f" y="%d" textLength="%.1f"%s>%s</text>`+"\n",
				x, y, float64(utf8.RuneCountInString(text))*charWidth, looks.class(), html.EscapeString(text))
		}
		column += utf8.RuneCountInString(run)
		if at != nil {
			looks.change(codes)
		}
		line = rest
	}
}

// looks are how text is written: the codes that are on.
type looks map[string]bool

var classes = []struct{ code, class string }{{"1", "b"}, {"2", "d"}, {"31", "r"}, {"32", "g"}}

func (l looks) change(codes string) {
	for code := range strings.SplitSeq(codes, ";") {
		switch code {
		case "", "0":
			clear(l)
		case "39":
			delete(l, "31")
			delete(l, "32")
		default:
			l[code] = true
		}
	}
}

func (l looks) class() string {
	var on []string
	for _, c := range classes {
		if l[c.code] {
			on = append(on, c.class)
		}
	}
	if len(on) == 0 {
		return ""
	}
	return ` class="` + strings.Join(on, " ") + `"`
}
