package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// demo is README's first command, run twice on one directory: the second run imports
// the same orders again and must change nothing.
type demo struct {
	dir    string
	totals demoTotals
}

// demoTotals are the totals over the whole store in the demo's output.
type demoTotals struct {
	Orders, Returns, Adjustments, Events int64

	GrossPence    int64 `json:"gross_pence"`
	ReturnedPence int64 `json:"returned_pence"`
	StockMoved    int64 `json:"stock_moved"`
}

func (d *demo) first(ctx context.Context, log io.Writer) (string, error) {
	totals, err := d.run(ctx, log)
	if err != nil {
		return "", err
	}
	d.totals = totals
	return fmt.Sprintf("%d orders, %d events", totals.Orders, totals.Events), nil
}

func (d *demo) again(ctx context.Context, log io.Writer) (string, error) {
	if d.totals == (demoTotals{}) {
		return "", missing("the first run failed")
	}
	totals, err := d.run(ctx, log)
	if err != nil {
		return "", err
	}
	if totals != d.totals {
		return "", fmt.Errorf("a second import of the same orders changed the totals from %+v to %+v", d.totals, totals)
	}
	return "0 new orders", nil
}

func (d *demo) run(ctx context.Context, log io.Writer) (demoTotals, error) {
	var totals demoTotals
	var stdout bytes.Buffer
	leftfold := program{
		name: "go",
		args: []string{"run", "./cmd/leftfold", "demo", "--check", "-o", "json", "--dir", d.dir},
		env:  withoutCgo,
	}
	if err := leftfold.cmd(ctx, io.MultiWriter(&stdout, log), log).Run(); err != nil {
		return totals, err
	}
	if err := json.Unmarshal(stdout.Bytes(), &totals); err != nil {
		return totals, fmt.Errorf("the demo's output is not one JSON object: %w", err)
	}
	if totals.Orders == 0 {
		return totals, errors.New("the demo reports no orders")
	}
	return totals, nil
}
