package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/leftfold/leftfold/adapters/postgres"
)

// Tests about several processes run their own binary again, as a child that does one thing.
const (
	childDoes = "LEFTFOLD_POSTGRES_CHILD"
	childURL  = "LEFTFOLD_POSTGRES_CHILD_URL"
	childName = "LEFTFOLD_POSTGRES_CHILD_NAME"
)

// children are what a child may do. It reports by lines of its standard output.
var children = map[string]func(ctx context.Context, url, name string) error{
	"writes to the store":       writeToTheStore,
	"writes to the naive store": writeToTheNaiveStore,
	"projects":                  projectSales,
	"projects blindly":          projectSalesBlindly,

	"appends in a transaction of its own": transact,

	"works on projections":  workOnProjections,
	"rebuilds a projection": rebuild,

	"switches to another version": switchInline,

	"appends with inline projections":           appendInline(addOne, func(*postgres.Store) {}),
	"appends with inline projections in halves": appendInline(nil, (*postgres.Store).InlineInHalves),
}

func child() int {
	if err := children[os.Getenv(childDoes)](context.Background(), os.Getenv(childURL), os.Getenv(childName)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runChild runs a child to its end, and calls told with every line that it writes.
func runChild(ctx context.Context, does, url, name string, told func(line string)) error {
	process := exec.CommandContext(ctx, os.Args[0])
	process.Env = append(os.Environ(), childDoes+"="+does, childURL+"="+url, childName+"="+name)
	var complaint strings.Builder
	process.Stderr = &complaint
	out, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		told(lines.Text())
	}
	if err := process.Wait(); err != nil {
		return fmt.Errorf("child %s: %w: %s", name, err, complaint.String())
	}
	return nil
}
