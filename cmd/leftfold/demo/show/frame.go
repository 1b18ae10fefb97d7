// Package show draws the demo on a terminal. What is to be seen is a [Frame], a plain value; [Lines] makes the
// lines of it, and [Screen] puts them on the terminal.
package show

import "time"

// Frame is all that the demo shows at a moment. Every number is a measured one. The zero value of a
// field means that there is nothing of it yet.
type Frame struct {
	// Title is what runs, Store where it keeps its events: "SQLite leftfold-demo".
	Title, Store string
	// Took is for how long it has run.
	Took time.Duration

	Services []Service

	Commands Commands
	Events   Rate
	Queries  Queries
	Sagas    Sagas
	Views    []View

	// Story is what happened to the order that was compensated last: first a headline, then a line for each
	// event, the oldest first.
	Story []Line
	// Bars are what is under way, or was last: a rebuild.
	Bars []Bar
	// Messages are what has happened, the newest last. As many are shown as there is room for.
	Messages []Line
	// Keys are what can be pressed.
	Keys []Key
}

// Service is a process of the shop.
type Service struct {
	Name string
	// Address is short, as ":7001".
	Address string
	State   State
}

// State is how a service does.
type State string

// The states of a service.
const (
	Up     State = "up"
	Down   State = "down" // it does not answer: it starts, or hangs
	Killed State = "killed"
)

// Rate is how often something happens.
type Rate struct {
	PerSecond float64
	// History is PerSecond as it was, the newest last. 60 are enough.
	History []float64
	Total   int64
}

// Commands are those sent to the shop, as their sender has measured them.
type Commands struct {
	Rate

	// P50 and P99 are of the last seconds.
	P50, P99 time.Duration
	// Conflicts is how many decisions were taken again because another writer was faster.
	Conflicts int64
}

// Queries are the questions that are asked all the time; Total is how many were answered.
type Queries struct {
	Rate

	Failed int64
}

// Sagas is how many there are of each.
type Sagas struct{ Running, Done, Compensated int64 }

// View is a read model.
type View struct {
	// Name has the version in it: "orders@2".
	Name string
	// Lag is in events, Behind how old the oldest of them is.
	Lag    int64
	Behind time.Duration
	// Trouble is why it does not go on, empty if it does.
	Trouble string
}

// Line is text with what it means.
type Line struct {
	Text string
	Mark Mark
}

// Mark is what a line means.
type Mark int

// The marks of lines.
const (
	Plain Mark = iota
	Good       // something is well again
	Bad        // something was refused, killed, or broke
)

// Bar is how far a task is.
type Bar struct {
	Title string
	// Phase is what it does now: "replaying", "catching up", "done".
	Phase string
	// Done is how much of Total; nobody knows yet how much there is if Total is 0.
	Done, Total int64
	PerSecond   float64
	// ETA is how long it still takes, 0 if nobody knows.
	ETA time.Duration
	// Failed reports that it has ended before its end.
	Failed bool
}

// Key is what can be pressed, and what it does: {"r", "rebuild a read model"}.
type Key struct{ Press, Does string }
