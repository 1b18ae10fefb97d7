package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The whole program, as the README shows it.
func Example() {
	dir, err := os.MkdirTemp("", "quickstart")
	check(err)
	defer os.RemoveAll(dir)
	check(os.Chdir(dir))
	main()
	main() // everything has happened already
	// Output:
	// yacht: true
	// acc-1: 1500 cents
	// yacht: true
	// acc-1: 1500 cents
}

func TestTheProgramIsShort(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(source, []byte("\n")); lines > 100 {
		t.Errorf("main.go has %d lines, want at most 100", lines)
	}
}

func TestTheREADMEShowsTheProgram(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(source), "type Account struct")
	program, _, _ = strings.Cut(program, "func check(")
	if !strings.Contains(string(readme), strings.TrimSpace(program)) {
		t.Error("README.md does not show the program as it is; copy main.go from `type Account` up to `func check` into it")
	}
}
