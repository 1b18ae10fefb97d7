package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/examples/shop/services/books"
)

// patientFor is how long the shop may take to come to rest when nobody places orders any more.
const patientFor = 2 * time.Minute

// rest waits until the shop has come to rest, and checks the books. An interrupt ends it.
func (d *demo) rest(ctx, running context.Context, r *result) error {
	resting, stop := context.WithTimeout(running, patientFor)
	defer stop()
	if ctx.Err() == nil { // else that was the first Ctrl-C
		defer context.AfterFunc(ctx, stop)()
	}
	var wrong error
	rested := d.async(func() (err error) {
		d.builds.working.Wait()
		r.Books, wrong, err = d.settled(resting)
		if err == nil && d.feed.Stream != "" {
			r.Stream, err = d.streamed(resting)
		}
		return err
	})
	if err := d.watch(running, rested); err != nil {
		return err
	}
	select { // it may have ended by that
	case err := <-d.failed:
		return err
	default:
	}
	r.end(d, wrong)
	return nil
}

func (d *demo) streamed(ctx context.Context) (*streamed, error) {
	client, err := d.feed.Client(ctx)
	if err != nil {
		return nil, err
	}
	return readStream(ctx, client, d.feed.Stream, d.parts())
}

// settled waits until nobody has anything left to do, and returns what the books say then and what is wrong
// with them.
func (d *demo) settled(ctx context.Context) (report books.Report, wrong, err error) {
	for told := time.Now(); ; {
		report, wrong, waiting, err := books.Look(ctx, d.parts())
		switch {
		case err == nil && waiting == "":
			return report, wrong, nil
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return report, errors.Join(fmt.Errorf("the shop does not come to rest within %s: %s", patientFor, waiting), wrong), nil
		case err != nil:
			return report, nil, err
		case time.Since(told) > plainEvery:
			told = time.Now()
			d.told.sayf(show.Plain, "it has not come to rest yet: %s", waiting)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

// findings are what is wrong, one each.
func findings(err error) []string {
	if err == nil {
		return []string{}
	}
	return strings.Split(err.Error(), "\n")
}
