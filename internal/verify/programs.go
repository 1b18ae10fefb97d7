package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// examples runs every program under examples/ as a reader would, but built without cgo
// and in an empty directory of its own. It must end by itself, without an error. Servers do
// not: their own tests run them.
type examples struct{ scratch string }

func (x examples) run(ctx context.Context, log io.Writer) (string, error) {
	var found bytes.Buffer
	list := command("go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{range .Imports}}{{if eq . "`+server+`"}} serves{{end}}{{end}}{{end}}`, "./examples/...")
	if err := list.cmd(ctx, &found, log).Run(); err != nil {
		return "", err
	}
	ended := 0
	for line := range strings.Lines(found.String()) {
		pkg, serves, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pkg == "" || serves != "" {
			continue
		}
		if err := x.runOne(ctx, log, pkg); err != nil {
			return "", fmt.Errorf("%s: %w", short(pkg), err)
		}
		ended++
	}
	if ended == 0 {
		return "", missing("there is no program under examples/")
	}
	return fmt.Sprintf("%d ended well", ended), nil
}

// server is what a program imports that serves until it is stopped.
const server = "github.com/leftfold/leftfold/adapters/httpapi"

func (x examples) runOne(ctx context.Context, log io.Writer, pkg string) error {
	dir := filepath.Join(x.scratch, filepath.FromSlash(short(pkg)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	binary := dir + ".bin"
	build := program{name: "go", args: []string{"build", "-buildvcs=false", "-o", binary, pkg}, env: withoutCgo}
	if _, err := build.run(ctx, log); err != nil {
		return err
	}
	_, err := program{name: binary, dir: dir}.run(ctx, log)
	return err
}

var withoutCgo = []string{"CGO_ENABLED=0"}

// demo is README's first command, run twice on one directory: the second run goes on with the orders of the
// first one, which are in its books too.
type demo struct {
	dir    string
	placed int64 // by the first run
}

// demoResult is what of the demo's output is looked at.
type demoResult struct {
	Placed   int64                        `json:"placed"`
	Kills    int64                        `json:"kills"`
	Events   float64                      `json:"events_per_second"`
	Rebuilds []struct{ Version int64 }    `json:"rebuilds"`
	Books    struct{ Placed, Open int64 } `json:"books"`
}

func (d *demo) first(ctx context.Context, log io.Writer) (string, error) {
	result, err := d.run(ctx, log, "20s")
	if err != nil {
		return "", err
	}
	d.placed = result.Books.Placed
	return fmt.Sprintf("%d orders, %.0f events/s, %d kills", result.Placed, result.Events, result.Kills), nil
}

func (d *demo) again(ctx context.Context, log io.Writer) (string, error) {
	if d.placed == 0 {
		return "", missing("the first run failed")
	}
	result, err := d.run(ctx, log, "5s")
	if err != nil {
		return "", err
	}
	if result.Books.Placed != d.placed+result.Placed {
		return "", fmt.Errorf("a second run has placed %d orders, and the books went from %d to %d", result.Placed, d.placed, result.Books.Placed)
	}
	return fmt.Sprintf("%d more orders", result.Placed), nil
}

// run runs the demo, which checks its books. It must have killed and rebuilt what it says it does.
func (d *demo) run(ctx context.Context, log io.Writer, duration string) (result demoResult, err error) {
	var stdout bytes.Buffer
	leftfold := program{
		name: "go",
		args: []string{"run", "./cmd/leftfold", "demo", "--headless", "--check", "--for", duration, "-o", "json", "--dir", d.dir},
		env:  withoutCgo,
	}
	if err := leftfold.cmd(ctx, io.MultiWriter(&stdout, log), log).Run(); err != nil {
		return result, err
	}
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		return result, fmt.Errorf("the demo's output is not one JSON object: %w", err)
	}
	if result.Placed == 0 || result.Kills < 2 || len(result.Rebuilds) == 0 || result.Books.Open != 0 {
		return result, fmt.Errorf("the demo has placed %d orders, killed %d services, rebuilt %d read models and left %d orders open", result.Placed, result.Kills, len(result.Rebuilds), result.Books.Open)
	}
	return result, nil
}
