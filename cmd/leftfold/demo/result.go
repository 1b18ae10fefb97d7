package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/services/books"
)

// result is what -o json prints. All of it was measured in this run, except for Books, which are of all
// that the stores have.
type result struct {
	Store string `json:"store"`
	// Seconds is for how long orders were placed.
	Seconds float64 `json:"seconds"`

	// Commands were sent to the gateway and answered, in p50_ms and p99_ms. SentAgain is how many requests
	// failed, because a service was away, and were sent again; Conflicts how many decisions met another
	// writer, and were taken again.
	Commands          int64   `json:"commands"`
	CommandsPerSecond float64 `json:"commands_per_second"`
	P50Ms             float64 `json:"p50_ms"`
	P99Ms             float64 `json:"p99_ms"`
	SentAgain         int64   `json:"sent_again"`
	Conflicts         int64   `json:"conflicts"`

	// Events were appended to the five logs; each service that is told of one appends it to its own.
	Events          int64   `json:"events"`
	EventsPerSecond float64 `json:"events_per_second"`

	// Placed, Fulfilled and Compensated are orders; OpenBefore were left open by the run before, that was killed.
	OpenBefore  int64 `json:"open_before"`
	Placed      int64 `json:"placed"`
	Fulfilled   int64 `json:"fulfilled"`
	Compensated int64 `json:"compensated"`

	MaxLag   maxLag    `json:"max_lag"`
	Kills    int64     `json:"kills"`
	Queries  queries   `json:"queries"`
	Rebuilds []rebuilt `json:"rebuilds"`

	// Books are the sums over all that the stores have, and Stream what --kinesis has of it.
	Books  books.Report `json:"books"`
	Stream *streamed    `json:"stream,omitempty"`
	// Broken are the invariants that do not hold.
	Broken []string `json:"broken"`

	began  look
	story  story
	placed look // when nobody placed orders any more
}

// maxLag is how far the read model that was the furthest behind was that.
type maxLag struct {
	Name    string  `json:"name,omitempty"`
	Events  int64   `json:"events"`
	Seconds float64 `json:"seconds"`
}

// queries are the questions that were asked of the gateway all the time.
type queries struct {
	Answered int64 `json:"answered"`
	Failed   int64 `json:"failed"`
	Again    int64 `json:"asked_again"`
}

// enough notes what was measured while orders were placed.
func (r *result) enough(d *demo) {
	r.placed = d.watcher.now
	took := time.Since(d.told.began).Seconds()
	all := d.meter.since(time.Time{})
	r.Store, r.Seconds = d.where(), took
	r.Commands, r.CommandsPerSecond, r.P50Ms, r.P99Ms = all.n, float64(all.n)/took, milliseconds(all.p50), milliseconds(all.p99)
	r.EventsPerSecond = float64(r.placed.events-r.began.events) / r.placed.at.Sub(r.began.at).Seconds()
}

// end notes what was measured until the shop had come to rest, and what is wrong.
func (r *result) end(d *demo, wrong error) {
	now := d.watcher.now
	r.SentAgain, r.Conflicts = d.meter.repeats(), d.conflicts()
	r.Events = now.events - r.began.events
	r.OpenBefore = r.began.open()
	r.Placed, r.Fulfilled, r.Compensated = now.placed-r.began.placed, now.fulfilled-r.began.fulfilled, now.cancelled-r.began.cancelled
	if lag := d.told.maxLag; lag.behind > 0 {
		r.MaxLag = maxLag{lag.of.String(), lag.behind, lag.since.Seconds()}
	}
	for _, s := range d.services {
		r.Kills += s.now().kills
	}
	asked := d.asker.now()
	r.Queries = queries{asked.answered, asked.failed, asked.again}
	r.Rebuilds = append([]rebuilt{}, d.builds.all...)
	r.Broken = findings(wrong)
	for _, err := range d.builds.err {
		r.Broken = append(r.Broken, err.Error())
	}
	if r.Stream != nil {
		r.Broken = append(r.Broken, r.Stream.wrong...)
	}
	r.story = d.told.story
}

// verdict is an error that names what is broken.
func (r *result) verdict() error {
	switch len(r.Broken) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("the books do not add up: %s", r.Broken[0])
	}
	return fmt.Errorf("the books do not add up: %s (and %d more)", r.Broken[0], len(r.Broken)-1)
}

func (r *result) print(out io.Writer, form cli.Output) error {
	if form == cli.JSON {
		return cli.PrintJSON(out, r)
	}
	say := func(what, format string, args ...any) {
		fmt.Fprintf(out, " %-13s%s\n", what, fmt.Sprintf(format, args...))
	}
	n := cli.Thousands[int64]
	fmt.Fprintf(out, "\nThe shop took orders for %.1f s, on %s.\n\n", r.Seconds, r.Store)
	say("orders", "%s placed, %s fulfilled, %s compensated%s", n(r.Placed), n(r.Fulfilled), n(r.Compensated), r.before())
	say("commands", "%s, %.0f/s, p50 %.1f ms, p99 %.1f ms", n(r.Commands), r.CommandsPerSecond, r.P50Ms, r.P99Ms)
	say("", "%s sent again, %s decided again because another writer was faster", n(r.SentAgain), n(r.Conflicts))
	say("events", "%s in five logs, %.0f/s", n(r.Events), r.EventsPerSecond)
	say("most behind", "%s by %s events, %.1f s", orNothing(r.MaxLag.Name), n(r.MaxLag.Events), r.MaxLag.Seconds)
	say("queries", "%s answered, %s failed, %s asked again", n(r.Queries.Answered), n(r.Queries.Failed), n(r.Queries.Again))
	say("kills", "%s (kill -9)", n(r.Kills))
	for _, b := range r.Rebuilds {
		say("rebuild", "%s@%d of %s events, %s/s, live after %.1f s", b.Name, b.Version, n(b.Events), n(int64(b.EventsPerSecond)), b.Seconds)
		say("", "%s queries answered meanwhile, %s failed, slowest %.0f ms", n(b.Answered), n(b.Failed), b.SlowestMs)
	}
	if s := r.Stream; s != nil {
		say("stream", "%s events in %s records, %s of them repeats", n(s.Events), n(s.Records), n(s.Repeats))
	}
	for i, line := range r.story.lines() {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, " %s\n", line.Text)
	}
	return r.printBooks(out)
}

func (r *result) before() string {
	if r.OpenBefore == 0 {
		return ""
	}
	return fmt.Sprintf("; %s were open before", cli.Thousands(r.OpenBefore))
}

const most = 20 // findings that are printed

func (r *result) printBooks(out io.Writer) error {
	if len(r.Broken) > 0 {
		fmt.Fprintf(out, "\nThe books do NOT add up:\n")
		for _, finding := range r.Broken[:min(len(r.Broken), most)] {
			fmt.Fprintf(out, " ✗ %s\n", finding)
		}
		if more := len(r.Broken) - most; more > 0 {
			fmt.Fprintf(out, " and %d more: -o json has them all\n", more)
		}
		return nil
	}
	b, n := r.Books, cli.Thousands[int64]
	fmt.Fprintf(out, "\nThe books of all services add up:\n")
	fmt.Fprintf(out, " ✓ %s placed = %s fulfilled + %s compensated + %s open\n", n(b.Placed), n(b.Fulfilled), n(b.Cancelled), n(b.Open))
	fmt.Fprintf(out, " ✓ stock: %s on hand + %s sold - %s returned = %s received\n", n(b.OnHand), n(b.Sold), n(b.Returned), n(b.Received))
	fmt.Fprintf(out, " ✓ money: %s taken - %s refunded = %s for what was fulfilled\n", pounds(b.Taken), pounds(b.Refunded), pounds(b.FulfilledPence))
	_, err := fmt.Fprintf(out, " ✓ %s rows are what a fresh fold says; %s events are applied, each once\n", n(int64(b.Rows)), n(b.Applied))
	return err
}

func pounds(pence int64) string { return fmt.Sprintf("£%s.%02d", cli.Thousands(pence/100), pence%100) }

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
