package ptytest

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// page is what a terminal shows. It knows what every terminal knows, and no more; each character is one column
// wide.
type page struct {
	columns, lines int
	cells          [][]rune
	above          []string // lines that have left it upwards
	x, y           int
	cut            bool // what is wider than a line is cut, not wrapped
	hidden         bool // the cursor
	main           *page

	rest    []byte // of a sequence that is not all there yet
	strange string // the first sequence that it does not know
}

func newPage(columns, lines int) page {
	return page{columns: columns, lines: lines, cells: make([][]rune, lines)}
}

func (p *page) shown() []string {
	shown := slices.Clone(p.above)
	for _, line := range p.cells {
		shown = append(shown, strings.TrimRight(string(line), " "))
	}
	for len(shown) > 0 && shown[len(shown)-1] == "" {
		shown = shown[:len(shown)-1]
	}
	return shown
}

func (p *page) write(output []byte) {
	output = append(p.rest, output...)
	for len(output) > 0 {
		n := p.next(output)
		if n == 0 {
			break
		}
		output = output[n:]
	}
	p.rest = slices.Clone(output)
}

// next does what comes first, and returns how many bytes that was: 0 if it is not all there.
func (p *page) next(output []byte) int {
	switch first := output[0]; {
	case first == '\x1b':
		return p.escape(output)
	case first == '\r':
		p.x = 0
	case first == '\n':
		p.down()
	case first == '\t':
		p.x = min(p.x/8*8+8, p.columns-1)
	case first < ' ':
		p.unknown(output[:1])
	default:
		if !utf8.FullRune(output) {
			return 0
		}
		char, n := utf8.DecodeRune(output)
		p.put(char)
		return n
	}
	return 1
}

func (p *page) put(char rune) {
	if p.x == p.columns {
		if p.cut {
			p.x--
		} else {
			p.x = 0
			p.down()
		}
	}
	for len(p.cells[p.y]) <= p.x {
		p.cells[p.y] = append(p.cells[p.y], ' ')
	}
	p.cells[p.y][p.x] = char
	p.x++
}

func (p *page) down() {
	if p.y < p.lines-1 {
		p.y++
		return
	}
	p.above = append(p.above, strings.TrimRight(string(p.cells[0]), " "))
	p.cells = append(p.cells[1:], nil)
}

func (p *page) escape(output []byte) int {
	if len(output) < 2 {
		return 0
	}
	end := 2 + slices.IndexFunc(output[2:], func(r byte) bool { return r >= '@' && r <= '~' })
	if output[1] != '[' {
		p.unknown(output[:2])
		return 2
	}
	if end < 2 {
		return 0
	}
	sequence := output[:end+1]
	if !p.do(string(output[2:end]), output[end]) {
		p.unknown(sequence)
	}
	return len(sequence)
}

// do obeys a sequence: a command, and a number before it.
func (p *page) do(argument string, command byte) bool {
	n, _ := strconv.Atoi(argument) // without a number it is 1, which is said below
	switch string(command) {
	case "m": // colours
	case "A":
		p.y = max(p.y-max(n, 1), 0)
	case "H":
		p.x, p.y = 0, 0
		return argument == ""
	case "K":
		p.eraseLine()
		return argument == ""
	case "J":
		return p.erase(argument)
	case "h", "l":
		return p.set(argument, command == 'h')
	default:
		return false
	}
	return true
}

// eraseLine erases the rest of the line. Behind the last column there is none: the character in it is erased.
func (p *page) eraseLine() {
	p.cells[p.y] = p.cells[p.y][:min(p.x, p.columns-1, len(p.cells[p.y]))]
}

func (p *page) erase(which string) bool {
	switch which {
	case "":
		p.eraseLine()
		clear(p.cells[p.y+1:])
	case "2":
		clear(p.cells)
	default:
		return false
	}
	return true
}

func (p *page) set(mode string, on bool) bool {
	switch mode {
	case "?7":
		p.cut = !on
	case "?25":
		p.hidden = !on
	case "?1049":
		p.turn(on)
	default:
		return false
	}
	return true
}

// turn goes to another, empty page, or back.
func (p *page) turn(away bool) {
	switch {
	case away && p.main == nil:
		before := *p
		*p = newPage(p.columns, p.lines)
		p.main, p.strange = &before, before.strange
	case !away && p.main != nil:
		strange, cut, hidden := p.strange, p.cut, p.hidden
		*p = *p.main
		p.strange, p.cut, p.hidden = strange, cut, hidden
	}
}

func (p *page) unknown(sequence []byte) {
	if p.strange == "" {
		p.strange = string(sequence)
	}
}
