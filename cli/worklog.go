package cli

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// loggedProjections has the log told what the worker's own hooks are told.
func loggedProjections(w projection.Worker, log *slog.Logger) projection.Worker {
	own, told := w.Hooks, newRebuildLog(log)
	w.Hooks.Failed = func(of projection.Generation, err error) {
		log.Error("projection fails", "projection", of.String(), "error", err)
		if own.Failed != nil {
			own.Failed(of, err)
		}
	}
	w.Hooks.Segment = func(of projection.Generation, report subscription.Report) {
		logReport(log.With("projection", of.String()), report)
		if own.Segment != nil {
			own.Segment(of, report)
		}
	}
	w.Hooks.Rebuild = func(p projection.RebuildProgress) {
		told.tell(p)
		if own.Rebuild != nil {
			own.Rebuild(p)
		}
	}
	return w
}

func loggedSagas(w saga.Worker, log *slog.Logger) saga.Worker {
	own := w.Hooks
	w.Hooks.Failed = func(name string, err error) {
		log.Error("saga fails", "saga", name, "error", err)
		if own.Failed != nil {
			own.Failed(name, err)
		}
	}
	w.Hooks.Segment = func(name string, report subscription.Report) {
		logReport(log.With("saga", name), report)
		if own.Segment != nil {
			own.Segment(name, report)
		}
	}
	return w
}

func loggedRelay(r relay.Relay, log *slog.Logger) relay.Relay {
	onError, onReport := r.OnError, r.OnReport
	log = log.With("relay", r.Name)
	r.OnError = func(err error) {
		log.Error("relay fails", "error", err)
		if onError != nil {
			onError(err)
		}
	}
	r.OnReport = func(report subscription.Report) {
		logReport(log, report)
		if onReport != nil {
			onReport(report)
		}
	}
	return r
}

// logReport tells how a segment does.
func logReport(log *slog.Logger, r subscription.Report) {
	log = log.With("segment", r.Segment.String(), "state", string(r.State))
	if r.State == subscription.Running {
		log.Info("segment goes on")
		return
	}
	level := slog.LevelError
	if r.State == subscription.Waiting {
		level = slog.LevelWarn
	}
	if r.Event.Position > 0 {
		log = log.With("position", int64(r.Event.Position), "type", r.Type)
	}
	log.Log(context.Background(), level, "segment does not go on", "since", r.At, "error", r.Note)
}

// rebuildLog tells the log how rebuilds go: each phase, and every few seconds between.
type rebuildLog struct {
	log *slog.Logger
	mu  sync.Mutex
	at  map[projection.Generation]toldRebuild
}

type toldRebuild struct {
	phase projection.Phase
	note  string
	until time.Time
}

func newRebuildLog(log *slog.Logger) *rebuildLog {
	return &rebuildLog{log: log, at: map[projection.Generation]toldRebuild{}}
}

func (l *rebuildLog) tell(p projection.RebuildProgress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.at[p.Generation]
	if last.phase == p.Phase && last.note == p.Note && time.Now().Before(last.until) {
		return
	}
	l.at[p.Generation] = toldRebuild{p.Phase, p.Note, time.Now().Add(plainEvery)}
	log := l.log.With("projection", p.Generation.String(), "phase", string(p.Phase), "done", int64(p.Done), "total", int64(p.Total))
	if p.Note != "" {
		log = log.With("note", p.Note)
	}
	log.Info("building")
}
