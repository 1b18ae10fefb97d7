package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/books"
)

const (
	every     = 250 * time.Millisecond // between two looks
	history   = 60                     // samples that are shown
	recently  = 5 * time.Second        // the commands whose times are shown
	smoothing = 4                      // looks that a rate is of
)

// sample is how far things were at a moment, for rates.
type sample struct {
	at                        time.Time
	commands, events, queries int64
}

// tick looks at everything, does what is next by the plan, and shows it.
func (d *demo) tick(ctx context.Context) error {
	parts := d.parts()
	ended, err := d.watcher.look(ctx, parts)
	if err != nil {
		return err
	}
	now := d.watcher.now
	if d.told.began.IsZero() {
		d.told.began = now.at
	}
	if worst := now.worst(); worst.behind > d.told.maxLag.behind {
		d.told.maxLag = worst
	}
	d.told.add(sample{now.at, d.meter.count(), now.events, d.asker.now().answered})
	if len(d.told.samples) > 1 { // else that had happened before
		if err := d.told.hear(ctx, ended, parts); err != nil {
			return err
		}
		if n := len(ended); n > 0 {
			d.asker.about(ended[n-1].Stream.ID())
		}
	}
	d.follow(ctx, now.at.Sub(d.told.began))
	messages, said := d.told.take()
	return d.display.draw(d.frame(now, messages), said)
}

func (t *told) add(s sample) {
	t.samples = append(t.samples, s)
	t.samples = t.samples[max(len(t.samples)-history-smoothing, 0):]
}

// hear remembers what happened to the order that was cancelled last, and tells of the first one.
func (t *told) hear(ctx context.Context, ended []eventstore.Recorded, all books.Services) (err error) {
	for _, m := range slices.Backward(ended) {
		if m.Type != isCancelled {
			continue
		}
		first := len(t.story.happened) == 0
		if t.story, err = storyOf(ctx, all, m.Stream.ID()); first && err == nil {
			t.sayf(show.Plain, "%s", t.story.line())
		}
		return err
	}
	return nil
}

// rate is how fast something goes, and went.
func (t *told) rate(of func(s sample) int64) show.Rate {
	r := show.Rate{}
	for n := smoothing; n < len(t.samples); n++ {
		from, to := t.samples[n-smoothing], t.samples[n]
		r.History = append(r.History, float64(of(to)-of(from))/to.at.Sub(from.at).Seconds())
	}
	if n := len(r.History); n > 0 {
		r.PerSecond = r.History[n-1]
	}
	if n := len(t.samples); n > 0 {
		r.Total = of(t.samples[n-1])
	}
	return r
}

func (d *demo) frame(now look, messages []show.Line) show.Frame {
	recent, asked := d.meter.since(now.at.Add(-recently)), d.asker.now()
	f := show.Frame{
		Title: "leftfold demo", Store: d.where(), Took: now.at.Sub(d.told.began),
		Commands: show.Commands{Rate: d.told.rate(func(s sample) int64 { return s.commands }), P50: recent.p50, P99: recent.p99, Conflicts: d.conflicts()},
		Events:   d.told.rate(func(s sample) int64 { return s.events }),
		Queries:  show.Queries{Rate: d.told.rate(func(s sample) int64 { return s.queries }), Failed: asked.failed},
		Sagas:    show.Sagas{Running: now.open(), Done: now.fulfilled, Compensated: now.cancelled},
		Story:    d.told.story.lines(), Messages: messages,
	}
	if !d.byPlan {
		f.Keys = []show.Key{{Press: "r", Does: "rebuild a read model"}, {Press: "k", Does: "kill a service"}, {Press: "q", Does: "end, and check the books"}}
	}
	for _, s := range d.services {
		stands := s.now()
		_, port, _ := net.SplitHostPort(stands.address)
		f.Services = append(f.Services, show.Service{Name: s.name, Address: ":" + port, State: shown[stands.state]})
	}
	for _, v := range now.views {
		f.Views = append(f.Views, show.View{Name: v.of.String(), Lag: v.behind, Behind: v.since, Trouble: v.trouble})
	}
	if r, ok := d.builds.last(); ok {
		f.Bars = []show.Bar{r.bar()}
	}
	return f
}

var shown = map[state]show.State{up: show.Up, starting: show.Down, down: show.Down, killed: show.Killed}

func (r rebuild) bar() show.Bar {
	return show.Bar{
		Title: "rebuild " + r.of.String(), Phase: r.phase, Done: int64(r.progress.Done), Total: int64(r.progress.Total),
		PerSecond: r.progress.Rate, ETA: r.progress.ETA, Failed: r.err != nil,
	}
}

func (d *demo) conflicts() (n int64) {
	for _, s := range d.services {
		n += s.now().conflicts
	}
	return n
}

// where says where the shop keeps its events, without passwords.
func (d *demo) where() string {
	text := "SQLite " + d.dir
	if d.postgres != "" {
		text = "Postgres"
		if config, _, err := stores.Postgres(d.postgres); err == nil {
			text = fmt.Sprintf("Postgres %s/%s", config.ConnConfig.Host, config.ConnConfig.Database)
		}
	}
	if d.redis != "" {
		text += " + Redis"
	}
	if d.feed.Stream != "" {
		text += " + Kinesis " + d.feed.Stream
	}
	return text
}

// line is a frame in one line.
func line(f show.Frame) string {
	text := fmt.Sprintf("%s  %s commands/s (p50 %.0f ms, p99 %.0f ms), %s events/s, sagas %s running %s done %s compensated",
		clock(f.Took), cli.Thousands(int64(f.Commands.PerSecond+0.5)), f.Commands.P50.Seconds()*1000, f.Commands.P99.Seconds()*1000,
		cli.Thousands(int64(f.Events.PerSecond+0.5)), cli.Thousands(f.Sagas.Running), cli.Thousands(f.Sagas.Done), cli.Thousands(f.Sagas.Compensated))
	worst := slices.MaxFunc(f.Views, func(a, b show.View) int { return int(a.Lag - b.Lag) })
	if worst.Lag > 0 {
		text += fmt.Sprintf(", %s is %s events (%.1f s) behind", worst.Name, cli.Thousands(worst.Lag), worst.Behind.Seconds())
	}
	return text
}
