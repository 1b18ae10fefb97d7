package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// moment is a point in the life of a stream: right after one of its events. The zero value is the newest.
type moment struct {
	version  eventstore.Version  // that has been reached
	position eventstore.Position // of the log, up to which
	time     time.Time           // by when it was recorded
	start    bool                // before the first event
}

func (m moment) isNow() bool { return m == moment{} }

// has reports whether an event is at or before the moment.
func (m moment) has(e eventstore.Recorded) bool {
	switch {
	case m.start:
		return false
	case m.version > 0:
		return e.Version <= m.version
	case m.position > 0:
		return e.Position <= m.position
	case !m.time.IsZero():
		return !e.RecordedAt.After(m.time)
	}
	return true
}

func (m moment) String() string {
	switch {
	case m.version > 0:
		return fmt.Sprintf("version %d", m.version)
	case m.position > 0:
		return fmt.Sprintf("position %d", m.position)
	case !m.time.IsZero():
		return m.time.UTC().Format(time.RFC3339Nano)
	}
	return "now"
}

const momentForms = "a version such as 3 (0: before the first event), a position such as @120, a time such as 2026-11-26T18:00:00Z, 2026-11-26 or 24h (ago), or now"

// parseMoment reads a moment as people write it.
func parseMoment(text string, now time.Time) (m moment, err error) {
	switch text {
	case "now":
		return m, nil
	case "0":
		return moment{start: true}, nil
	}
	if digits, isPosition := strings.CutPrefix(text, "@"); isPosition {
		if m.position, err = parsePositive[eventstore.Position](digits); err == nil {
			return m, nil
		}
	} else if m.version, err = parsePositive[eventstore.Version](text); err == nil {
		return m, nil
	} else if m.time, err = parseTime(text, now); err == nil {
		return m, nil
	}
	return moment{}, fmt.Errorf("%q is no moment: want %s", text, momentForms)
}

func parsePositive[N ~int64](text string) (N, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d: they begin at 1", n)
	}
	return N(max(n, 0)), err
}

// inTables is how tables show when an event was recorded, in UTC.
const inTables = "2006-01-02 15:04:05.000"

// parseTime reads a time, also as tables show it, a date, or how long ago it was.
func parseTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	if at, err := time.Parse(inTables, text); err == nil { // which cut it: all of the millisecond is meant
		return at.Add(time.Millisecond - 1), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time such as 2026-11-26T18:00:00Z nor how long ago, such as 24h", text)
}
