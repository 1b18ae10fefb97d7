package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
	"github.com/leftfold/leftfold/projection"
)

// demo is one run of the verb.
type demo struct {
	*options

	services   []*service
	failed     chan error // why it cannot go on
	background sync.WaitGroup
	enough     func() // no more orders are placed

	meter   meter
	asker   asker
	watcher watcher
	builds  builds
	told    told
	display display
	byPlan  bool // nobody can press a key

	mu     sync.Mutex
	config shop.Config    // where the stores are, and the version of the gateway's view
	all    books.Services // the stores, opened beside the services
}

// run runs the demo until ctx ends, or its time is up, and then until the shop has come to rest.
func (o *options) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("cannot use the directory %s: %w; choose another with --dir", o.dir, err)
	}
	lock, err := o.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	d := &demo{options: o, failed: make(chan error, len(shop.Names)+1)}
	closing, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	result, err := d.play(ctx, stdin, stderr)
	if err != nil {
		return err
	}
	if err := result.print(stdout, o.output); err != nil {
		return err
	}
	if o.check {
		return result.verdict()
	}
	return nil
}

// lock holds the directory for this run. Close it.
func (o *options) lock() (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(o.dir, "demo.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot use the directory %s: %w; choose another with --dir", o.dir, err)
	}
	ours, err := tryLock(file)
	if err == nil && !ours {
		err = fmt.Errorf("another demo runs on the directory %s: end it, or choose another with --dir", o.dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// open opens the stores, and sees which version of the gateway's view is live.
func (d *demo) open(ctx context.Context) (closing func() error, err error) {
	d.config = shop.Config{Where: host.Where{Dir: d.dir, Postgres: d.postgres}, Redis: d.redis}
	if d.feed.Stream != "" {
		d.config.Feed = kinesisstore.Feed{Stream: d.feed.Stream} // to know that there is one
	}
	all, closing, err := d.config.Books(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the shop: %w", err)
	}
	d.all = all
	door := all["gateway"]
	builds, err := door.Store.Sink.Builds(ctx, door.Service.Views[0].Generation().Name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at the gateway's view: %w", err), closing())
	}
	if live, ok := projection.LiveBuild(builds); ok {
		err = d.become(live.Version)
	}
	return closing, err
}

// become has the gateway's view in a version from now on.
func (d *demo) become(version int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config.Details = version
	service, err := d.config.Service("gateway", discovery.Static{})
	store := d.all["gateway"].Store
	d.all["gateway"] = books.Part{Service: service, Store: store, Follows: d.config.Follows(service, store)}
	return err
}

func (d *demo) parts() books.Services {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.all)
}

// play runs the shop for as long as orders are placed, and then until it has come to rest.
func (d *demo) play(ctx context.Context, stdin io.Reader, stderr io.Writer) (r result, err error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer d.background.Wait()
	defer stop()
	if err := d.start(running); err != nil {
		return r, err
	}
	d.openDisplay(stdin, stderr)
	defer func() { d.display.close() }()
	if err := d.tick(running); err != nil {
		return r, err
	}
	r.began = d.watcher.now
	placing, enough := context.WithCancel(ctx)
	defer enough()
	d.enough = enough
	d.background.Go(func() { d.asker.run(running) })
	placed := d.async(func() error { return d.traffic().place(placing) })
	if err := d.watch(running, placed); err != nil {
		return r, err
	}
	r.enough(d)
	d.display.close()
	d.display = newPlain(stderr)
	d.told.sayf(show.Plain, "nobody places orders any more; the shop comes to rest (Ctrl-C ends at once)")
	if err := d.rest(ctx, running, &r); err != nil {
		return r, err
	}
	stop()
	d.background.Wait()
	select {
	case err = <-d.failed:
	default:
	}
	return r, err
}

// async runs a part of the demo, and returns what is closed when that has ended.
func (d *demo) async(part func() error) <-chan struct{} {
	ended := make(chan struct{})
	d.background.Go(func() {
		defer close(ended)
		if err := part(); err != nil {
			d.failed <- err
		}
	})
	return ended
}

// watch looks at everything and shows it, until something has ended.
func (d *demo) watch(ctx context.Context, ended <-chan struct{}) error {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ended:
			return nil
		case err := <-d.failed:
			return err
		case key := <-d.display.keys():
			d.press(ctx, key)
		case <-ticks.C:
			if err := d.tick(ctx); err != nil {
				return err
			}
		}
	}
}
