package demo

import (
	"context"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
)

// toKill are the services that k kills, one after the other.
var toKill = []string{"payment", "order", "inventory", "shipping", "gateway"}

// press does what a key stands for.
func (d *demo) press(ctx context.Context, key rune) {
	switch key {
	case 'r':
		d.beginRebuild(ctx)
	case 'k':
		if d.kill(toKill[d.told.turn%len(toKill)]) {
			d.told.turn++
		}
	case 'q':
		d.enough()
	}
}

// step is something that happens by the plan, when that share of the time has passed.
type step struct {
	after float64
	do    func(d *demo, ctx context.Context) bool // false: not now
}

// plan is what happens where nobody can press a key.
var plan = []step{
	{0.25, func(d *demo, _ context.Context) bool { return d.kill("payment") }},
	{0.45, func(d *demo, ctx context.Context) bool { return !d.asker.silent() && d.beginRebuild(ctx) }},
	{0.65, func(d *demo, _ context.Context) bool { return d.kill("order") }},
}

// follow does what is next by the plan, if it is time. When the time is up, and the plan is through, nobody places
// orders any more.
func (d *demo) follow(ctx context.Context, passed time.Duration) {
	if d.enough == nil || d.duration == 0 {
		return
	}
	if d.byPlan && d.told.turn < len(plan) && passed < d.duration+tooLate {
		next := plan[d.told.turn]
		if passed.Seconds() >= next.after*d.duration.Seconds() && next.do(d, ctx) {
			d.told.turn++
		}
	} else if passed >= d.duration {
		d.enough()
	}
}

// tooLate is how long the plan may take longer than it was to.
const tooLate = time.Minute

// kill kills a service as kill -9 does, if it is up. It is started again soon.
func (d *demo) kill(name string) bool {
	if !d.service(name).kill() {
		return false
	}
	d.told.sayf(show.Bad, "%s was killed (kill -9); what it has to do waits", name)
	return true
}

// beginRebuild has a rebuild begin. False: one is under way.
func (d *demo) beginRebuild(ctx context.Context) bool {
	r, next := d.nextRebuild()
	if r == nil {
		return false
	}
	d.builds.working.Go(func() { d.rebuild(ctx, r, next) })
	return true
}
