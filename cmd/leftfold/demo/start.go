package demo

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// start starts the services, and returns when all of them are up. They end when ctx does.
func (d *demo) start(ctx context.Context) error {
	processes, errs := make([]*process, len(shop.Names)), make([]error, len(shop.Names))
	var starting sync.WaitGroup
	for n, name := range shop.Names {
		s := &service{name: name, log: filepath.Join(d.dir, name+".log"), sayf: d.told.sayf, told: func() orders { return d.orders(name) }}
		d.services = append(d.services, s)
		starting.Go(func() { processes[n], errs[n] = s.start() })
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, p := range processes {
			if p != nil {
				p.discard()
			}
		}
		return err
	}
	addresses := map[string][]string{}
	for _, s := range d.services {
		addresses[s.name] = []string{"http://" + s.address}
	}
	for n, s := range d.services {
		s.addresses = addresses
		s.serves(processes[n])
		d.async(func() error { return s.keep(ctx, processes[n]) })
	}
	d.asker.gateway = addresses["gateway"][0]
	return d.allUp()
}

func (d *demo) orders(name string) orders {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := orders{Name: name, Listen: "localhost:0", Dir: d.dir, Postgres: d.postgres, Redis: d.redis, Kinesis: d.feed, Details: d.config.Details}
	if name == "gateway" {
		o.Listen = d.listen
	}
	return o
}

// allUp waits until all services are up.
func (d *demo) allUp() error {
	for _, s := range d.services {
		for s.now().state != up {
			select {
			case err := <-d.failed:
				return err
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

func (d *demo) service(name string) *service {
	for _, s := range d.services {
		if s.name == name {
			return s
		}
	}
	panic("demo: there is no service " + name)
}

func (d *demo) traffic() *traffic {
	t := &traffic{gateway: d.asker.gateway, meter: &d.meter, begin: d.watcher.now.placed}
	t.ended, t.looked = d.watcher.ended, d.watcher.again
	return t
}
