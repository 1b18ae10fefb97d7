package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

func TestAShellCompletesVerbsNamesAndForms(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := runs(t.Context(), root(), "completion", shell)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Contains(t, r.stdout, "__complete", shell)
	}
	s := newShop(t)
	at := []string{"--store", "sqlite:" + s.file()}
	both := map[string]func(words ...string) ran{
		"leftfold": func(words ...string) ran { return runs(t.Context(), root(), words...) },
		"shop":     func(words ...string) ran { return runs(t.Context(), cli.Command(s.app()), words...) },
	}
	for _, c := range []struct {
		of     string
		at     []string
		line   string
		offers string
	}{
		{"leftfold", nil, "proj", "projections"},
		{"leftfold", at, "projections pause", "orders"},
		{"leftfold", at, "projections retire", "orders"},
		{"leftfold", at, "dead-letters list", "archive"},
		{"leftfold", at, "sagas show", "greeter"},
		{"leftfold", at, "timers", "once"},
		{"leftfold", nil, "events -o", "jsonl"},
		{"leftfold", nil, "sagas list --phase", "stuck"},
		{"shop", nil, "projections rebuild", "orders"},
		{"shop", nil, "dead-letters retry", "orders"},
		{"shop", nil, "sagas resume", "greeter"},
	} {
		words := append(append([]string{"__complete"}, c.at...), strings.Fields(c.line)...)
		if len(c.at) > 0 { // behind the verb
			words = append(append([]string{"__complete"}, strings.Fields(c.line)...), c.at...)
		}
		if c.line != "proj" {
			words = append(words, "")
		}
		r := both[c.of](words...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Regexp(t, `(?m)^`+c.offers+`(\t|$)`, r.stdout, c.line)
	}
	r := both["leftfold"]("__complete", "projections", "pause", "--store", "postgres://127.0.0.1:1/x", "")
	assert.Equal(t, ":4\n", r.stdout, "a store that is not there has no names, and a file is none")
	r = both["leftfold"](append(append([]string{"__complete", "projections", "pause", "orders"}, at...), "")...)
	assert.Equal(t, ":4\n", r.stdout, "there is one name")
}
