// Command screenshots takes the pictures of docs/pictures: it runs the real programs in tmux, 80 and 160 columns
// wide, and draws what the terminal shows. Every number in them is of that run.
//
//	go run ./internal/screenshots
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := take(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be done
	}
}

func take(ctx context.Context) error {
	if _, err := exec.LookPath("tmux"); err != nil {
		return fmt.Errorf("%w: install it: apt-get install tmux", err)
	}
	dir, err := os.MkdirTemp("", "leftfold-screenshots-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, program := range []string{"./cmd/leftfold", "./examples/shop"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "bin", filepath.Base(program)), program)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", program, err, out)
		}
	}
	for _, columns := range []int{80, 160} {
		s := set{dir: filepath.Join(dir, fmt.Sprint(columns)), bin: filepath.Join(dir, "bin"), columns: columns}
		if err := os.Mkdir(s.dir, 0o755); err != nil {
			return err
		}
		if err := s.take(ctx); err != nil {
			return err
		}
	}
	return nil
}

// set is the pictures of one width, all of one run of the demo.
type set struct {
	dir, bin string
	columns  int
}

// lines is how high a terminal is.
func (s set) lines() int { return map[int]int{80: 24, 160: 30}[s.columns] }

const orders = "--store sqlite:leftfold-demo/order.db"

func (s set) take(ctx context.Context) error {
	w, err := open(ctx, s.dir, s.bin, s.columns, s.lines())
	if err != nil {
		return err
	}
	defer w.close(ctx)
	if err := errors.Join(s.demo(ctx, w), s.atRest(ctx, w)); err != nil {
		return fmt.Errorf("%d columns: %w", s.columns, err)
	}
	return nil
}

// demo takes the demo with a story and a rebuild, and top beside it.
func (s set) demo(ctx context.Context, w *window) error {
	if err := w.run(ctx, "leftfold demo --check"); err != nil {
		return err
	}
	if _, err := w.shows(ctx, has(" was compensated", "order cancelled")); err != nil {
		return err
	}
	if err := s.top(ctx); err != nil { // the longer the log, the longer the bar is to be seen
		return err
	}
	captured, err := s.rebuild(ctx, w)
	if err != nil {
		return err
	}
	if err := s.write("demo", "leftfold demo: a shop of services, live, with a rebuild and the story of an order", captured); err != nil {
		return err
	}
	if err := w.press(ctx, "q"); err != nil {
		return err
	}
	_, err = w.shows(ctx, ended)
	return err
}

// halfWay is a bar that has come some way.
var halfWay = regexp.MustCompile(`[2-9]\d % .* replaying`)

// rebuild has read models rebuilt until one is seen half way. A machine that is too fast for that shows the last one as it is
// at its end.
func (s set) rebuild(ctx context.Context, w *window) (captured string, err error) {
	for version := 2; version < 5; version++ {
		if err := w.press(ctx, "r"); err != nil {
			return "", err
		}
		title := fmt.Sprintf("rebuild details@%d ", version)
		captured, err = w.shows(ctx, func(plain string) bool {
			return strings.Contains(plain, title) && (halfWay.MatchString(plain) || regexp.MustCompile(title+".* live").MatchString(plain))
		})
		if err != nil || halfWay.MatchString(sequence.ReplaceAllString(captured, "")) {
			return captured, err
		}
	}
	return captured, nil
}

func (s set) top(ctx context.Context) error {
	w, err := open(ctx, s.dir, s.bin, s.columns, s.lines())
	if err != nil {
		return err
	}
	defer w.close(ctx)
	if err := w.run(ctx, "leftfold top --every 250ms "+orders); err != nil {
		return err
	}
	if _, err := w.shows(ctx, has("orders@1")); err != nil {
		return err
	}
	time.Sleep(20 * time.Second) // for the plot
	captured, err := w.shows(ctx, has("orders@1"))
	if err != nil {
		return err
	}
	return s.write("top", "leftfold top: rates and lags, live", captured)
}

// atRest takes what needs no demo any more: the newest events, the stream of a saga that compensated, and a read model
// that fails.
func (s set) atRest(ctx context.Context, w *window) error {
	captured, err := w.verb(ctx, "leftfold tail --last 15 "+orders)
	if err == nil {
		err = s.write("tail", "leftfold tail: the newest events", captured)
	}
	if err != nil {
		return err
	}
	id, err := s.compensated(ctx)
	if err != nil {
		return err
	}
	if captured, err = w.verb(ctx, "leftfold stream show fulfilment-"+id+" "+orders); err != nil {
		return err
	}
	if err := s.write("stream", "leftfold stream show: the events of a saga that has compensated", captured); err != nil {
		return err
	}
	return s.failure(ctx, w)
}

// compensated returns the id of an order that was.
func (s set) compensated(ctx context.Context) (string, error) {
	list := exec.CommandContext(ctx, filepath.Join(s.bin, "leftfold"), append([]string{"sagas", "list", "--phase", "compensated", "-o", "jsonl"}, strings.Fields(orders)...)...)
	list.Dir = s.dir
	out, err := list.Output()
	var one struct {
		ID string `json:"id"`
	}
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(out)).Decode(&one)
	}
	if err != nil {
		return "", fmt.Errorf("find an order that was compensated: %w in %q", err, out)
	}
	return one.ID, nil
}

// failure has somebody write an event that no read model can read, past the program's rules.
func (s set) failure(ctx context.Context, w *window) error {
	appended := exec.CommandContext(ctx, filepath.Join(s.bin, "leftfold"), append([]string{"append", "order-536365", "--type", "order.placed", "--data", `{"lines":"a dozen"}`}, strings.Fields(orders)...)...)
	appended.Dir = s.dir
	if out, err := appended.CombinedOutput(); err != nil {
		return fmt.Errorf("append: %w: %s", err, out)
	}
	working, stop := context.WithCancel(ctx)
	service := exec.CommandContext(working, filepath.Join(s.bin, "shop"), "order", "--dir", "leftfold-demo", "--listen", "localhost:0")
	service.Dir = s.dir
	if err := service.Start(); err != nil {
		stop()
		return err
	}
	defer func() { stop(); _ = service.Wait() }()
	list := "leftfold projections list " + orders
	for {
		captured, err := w.verb(ctx, list)
		if err != nil {
			return err
		}
		if strings.Contains(captured, "dead letter") {
			return s.write("projections", "leftfold projections list: why a read model fails", captured)
		}
	}
}

func (s set) write(name, title, captured string) error {
	file := filepath.Join("docs", "pictures", fmt.Sprintf("%s-%d.svg", name, s.columns))
	fmt.Fprintln(os.Stderr, file)
	return os.WriteFile(file, []byte(picture(title, captured, s.columns)), 0o644)
}
