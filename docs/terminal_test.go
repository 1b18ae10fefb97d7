//go:build unix

package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// desk is where a reader sits: a directory of his own, two terminals, and an editor.
type desk struct {
	t       *testing.T
	dir     string
	here    map[string]string // what the pages write, and what it is here: addresses
	learned map[string]string // the same of times, ids and addresses that were shown; a reader types them over
	exports []string          // variables that were set
	edited  map[string]string // text of the files that were changed
	overlay string            // how the go command is told of them

	writes []written // what was printed, if the page is to show that from now on; nil: it is compared

	began time.Time // when the last command was run that is not repeated

	second  *exec.Cmd // what runs in the second terminal; nil: nothing
	printed *buffer   // by it
	undead  io.Writer // is told whom to end if the test is killed
}

const root = ".."

// anything is a line in the place of any number of lines.
const anything = "…\n"

const patience = 180 * time.Second

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), here: map[string]string{}, learned: map[string]string{}, edited: map[string]string{}, printed: new(buffer)}
	d.overlay = filepath.Join(d.dir, "overlay.json")
	require.NoError(t, d.tell())
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, ".curlrc"), []byte("silent\nshow-error\n"), 0o600)) // as on a terminal
	watch := exec.CommandContext(t.Context(), "bash", "-c", `while read -r now; do pid=$now; done; [ -z "$pid" ] || kill -9 "$pid"`)
	undead, err := watch.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	d.undead = undead
	t.Cleanup(func() {
		if d.second != nil {
			_ = d.second.Process.Kill()
			_ = d.second.Wait()
		}
		_, _ = watch.Process.Kill(), watch.Wait()
	})
	return d
}

// do does what a block says.
func (d *desk) do(b block) error {
	switch {
	case b.language == "diff":
		return d.edit(b.edit())
	case b.language != "console":
		return nil
	case b.rest == "second":
		return d.inSecond(b)
	}
	for _, s := range b.commands() {
		err := d.run(s, b.rest == "soon")
		if err != nil {
			return err
		}
	}
	return nil
}

// run runs a command, again and again if it is enough that it is as shown soon.
func (d *desk) run(s shown, soon bool) error {
	if strings.HasPrefix(s.command, "export ") {
		d.exports = append(d.exports, d.translated(s.command))
		return nil
	}
	limit := patience
	if strings.Contains(s.command, "go build") {
		limit *= 2 // nothing may be compiled yet
	}
	ctx, stop := context.WithTimeout(d.t.Context(), limit)
	defer stop()
	if !soon {
		d.began = time.Now()
	}
	for {
		printed, failed := d.once(ctx, s.command)
		if d.writes != nil && !soon && (s.output == anything || !strings.Contains(s.output, anything)) {
			d.write(s, printed)
			return nil
		}
		err := compare(s.output, printed)
		if err == nil && (failed != nil) != s.fails() {
			err = fmt.Errorf("%s%v", printed, failed)
		}
		if err == nil {
			d.learn(s.output, printed)
			if soon {
				d.t.Logf("%v after the command before it: %s", time.Since(d.began).Round(time.Millisecond), s.command)
			}
			return nil
		}
		if !soon || ctx.Err() != nil {
			return fmt.Errorf("$ %s\n%w", s.command, err)
		}
	}
}

// write has the page show from now on what was printed.
func (d *desk) write(s shown, printed string) {
	printed = aside.ReplaceAllString(printed, "")
	if printed != "" && !strings.HasSuffix(printed, "\n") {
		printed += "\n"
	}
	d.writes = append(d.writes, written{s, d.withTimes(s.command), printed})
	d.learn(s.output, printed)
}

// once runs a command line, and returns what it prints on a terminal.
func (d *desk) once(ctx context.Context, line string) (string, error) {
	out, err := d.shell(ctx, d.translated(line)).CombinedOutput()
	return d.back(string(out)), err
}

func (d *desk) shell(ctx context.Context, line string) *exec.Cmd {
	c := exec.CommandContext(ctx, "bash", "-c", strings.Join(append(d.exports, line), "\n"))
	c.Dir, c.WaitDelay = d.dir, time.Second
	c.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false -ldflags=-w", "PWD="+d.dir, "CURL_HOME="+d.dir)
	return c
}

// translated is a command line as it is run here: with other addresses, and with the files as they were edited.
func (d *desk) translated(line string) string {
	for _, all := range []map[string]string{d.here, d.learned} {
		for written, is := range all {
			line = strings.ReplaceAll(line, written, is)
		}
	}
	module, err := filepath.Abs(root)
	require.NoError(d.t, err)
	build := fmt.Sprintf("go -C %s build -overlay %s -o %s/", module, d.overlay, d.dir)
	return strings.ReplaceAll(line, "go build -o ", build)
}

// learn remembers the times, ids and addresses that the page shows, and what they are here.
func (d *desk) learn(shows, printed string) {
	for _, v := range varies {
		written, is := v.what.FindAllString(shows, -1), v.what.FindAllString(printed, -1)
		for n := 0; v.learn && n < min(len(written), len(is)); n++ {
			d.learned[written[n]] = is[n]
		}
	}
}

// withTimes is a command as a reader types it who has seen other times.
func (d *desk) withTimes(command string) string {
	return varies[0].what.ReplaceAllStringFunc(command, func(written string) string {
		if is, ok := d.learned[written]; ok {
			return is
		}
		return written
	})
}

func (d *desk) back(text string) string {
	for written, is := range d.here {
		text = strings.ReplaceAll(text, is, written)
	}
	return text
}

// edit changes a file of the module for the builds to come.
func (d *desk) edit(e edit) error {
	source := filepath.Join(root, filepath.FromSlash(e.file))
	text, ok := d.edited[e.file]
	if !ok {
		read, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		text = string(read)
	}
	if n := strings.Count(text, e.before); n != 1 {
		return fmt.Errorf("%s has %d times what is to be changed:\n%s", e.file, n, e.before)
	}
	d.edited[e.file] = strings.Replace(text, e.before, e.after, 1)
	return d.tell()
}

// tell tells the go command of all edits.
func (d *desk) tell() error {
	told := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range d.edited {
		original, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return err
		}
		edited := filepath.Join(d.dir, "edited-"+strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(edited, []byte(text), 0o600); err != nil {
			return err
		}
		told.Replace[original] = edited
	}
	text, err := json.Marshal(told)
	return errors.Join(err, os.WriteFile(d.overlay, text, 0o600))
}

// inSecond starts or ends what runs in the second terminal.
func (d *desk) inSecond(b block) error {
	for _, s := range b.commands() {
		if s.command == "^C" {
			if err := d.interrupt(); err != nil {
				return err
			}
			continue
		}
		if err := d.start(s); err != nil {
			return err
		}
	}
	return nil
}

// start starts a program, and returns when it has printed what is shown.
func (d *desk) start(s shown) error {
	d.second, d.printed = d.shell(context.WithoutCancel(d.t.Context()), d.translated(s.command)), new(buffer)
	d.second.Stdout, d.second.Stderr = d.printed, d.printed
	if err := d.second.Start(); err != nil {
		return err
	}
	fmt.Fprintln(d.undead, d.second.Process.Pid)
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		printed := d.back(d.printed.String())
		differs := compare(s.output+anything, printed)
		if differs == nil {
			d.learn(s.output, printed)
			return nil
		}
		if time.Since(began) > patience || d.gone() {
			return fmt.Errorf("$ %s\n%w", s.command, differs)
		}
	}
}

// gone reports whether what was started has ended, and was not waited for.
func (d *desk) gone() bool {
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", d.second.Process.Pid))
	return runtime.GOOS == "linux" && err != nil
}

// interrupt is Ctrl-C in the second terminal.
func (d *desk) interrupt() error {
	if err := d.second.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("%w\n%s", err, d.printed)
	}
	err := d.second.Wait()
	d.second = nil
	fmt.Fprintln(d.undead)
	if err != nil && !strings.Contains(err.Error(), "130") {
		return fmt.Errorf("%w\n%s", err, d.printed)
	}
	return nil
}

// buffer is written by one and read by another.
type buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
