//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/leftfold/leftfold/internal/programtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program is built as the README says.
var program = programtest.New(".", "-tags", "lambda.norpc")

func TestMain(m *testing.M) { program.Main(m) }

// Every command of the README is run, in one shell and in order, and must print what the README
// says. Only the address is another, and the store's id.
func TestTheREADMEIsTrueOfAContainer(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("LEFTFOLD_TEST") == "all" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	server, address := start(t)
	script := new(strings.Builder)
	steps := readme(t)
	for _, s := range steps {
		script.WriteString(strings.ReplaceAll(s.command, "localhost:8080", address) + "\necho; echo " + mark + "\n")
	}
	printed, err := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script.String()).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	answers := strings.Split(string(printed), "\n"+mark+"\n")
	for n, s := range steps {
		assert.Equal(t, anyStore(s.prints), anyStore(strings.TrimSpace(answers[n])), s.command)
	}
	require.NoError(t, server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, server.Wait(), "%s", server.Stderr)
}

// start runs the program where there is no Lambda.
func start(t *testing.T) (server *exec.Cmd, address string) {
	t.Helper()
	server = exec.CommandContext(t.Context(), program.Path(t))
	server.Dir, server.Env, server.Stderr = t.TempDir(), append(os.Environ(), "LISTEN=127.0.0.1:0", "DATABASE=", "FUNCTION="), new(bytes.Buffer)
	out, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "%s", server.Stderr)
	_, address, _ = strings.Cut(strings.TrimSpace(line), "http://")
	return server, address
}

const mark = "== next"

// step is a command of the README and what it prints.
type step struct{ command, prints string }

func readme(t *testing.T) (steps []step) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: command})
			} else {
				last := &steps[len(steps)-1].prints
				*last = strings.TrimSpace(*last + "\n" + line)
			}
		}
	}
	require.Len(t, steps, 5)
	return steps
}

var storeID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func anyStore(answer string) string { return storeID.ReplaceAllString(answer, "<store>") }
