package aggregate

import (
	"context"
	"maps"

	"github.com/leftfold/leftfold/eventstore"
)

// ExecuteOption modifies one call of Execute, [ExecuteAll] or [Decide].
type ExecuteOption func(*settings)

// settings are one call's. A zero maxAttempts means the default.
type settings struct {
	commandID   string
	expected    *eventstore.Version
	metadata    eventstore.Metadata // given by the option
	encoded     []byte              // with those of ctx
	maxAttempts int
}

func newSettings(ctx context.Context, options []ExecuteOption) settings {
	var s settings
	for _, option := range options {
		option(&s)
	}
	s.encoded = eventstore.MetadataFrom(eventstore.WithMetadata(ctx, s.metadata)).Encode()
	return s
}

// CommandID makes the call idempotent under the id. It takes the place of the command
// that ctx carries. Default, also for an empty id: the command of ctx, if any.
//
// The id is the caller's: two calls with one id and one boundary are one command. It
// carries no hash, so a different decision under it goes unnoticed; the command bus
// gives both.
func CommandID(id string) ExecuteOption { return func(s *settings) { s.commandID = id } }

// ExpectVersion refuses the call with a version conflict if the aggregate is not at the
// version: what the user decided on is not what is there. It is not decided again. It
// is for calls with one aggregate. Under a command id a repeat is no conflict: it gets the
// first receipt. Default: what ctx expects ([eventstore.WithExpected], as the command bus
// does), if no earlier call has taken it; else the newest version, whatever it is.
func ExpectVersion(v eventstore.Version) ExecuteOption {
	return func(s *settings) { s.expected, s.maxAttempts = &v, 1 }
}

// Metadata is stored with every event of the call, together with what ctx carries: the
// command bus gives the conversation, the cause, who acts and the command's name, see
// [eventstore.MetadataCorrelationID] and [eventstore.WithMetadata]. Of two values of one key,
// that of m holds. Under a command id the metadata are no part of the command: a repeat with
// others is still a repeat. Default: what ctx carries.
func Metadata(m eventstore.Metadata) ExecuteOption {
	m = maps.Clone(m)
	return func(s *settings) { s.metadata = m }
}

// NoRetry returns the first conflict ([eventstore.ErrVersionConflict], for [Decide] also
// [eventstore.ErrConditionFailed]) instead of deciding again.
func NoRetry() ExecuteOption { return func(s *settings) { s.maxAttempts = 1 } }

// command returns what the call's append is remembered as. It counts: call it once for
// each call, because all tries of one call must share the id.
func (s settings) command(ctx context.Context, boundary ...string) eventstore.Command {
	if s.commandID != "" {
		return eventstore.Command{ID: eventstore.DeriveCommandID("", s.commandID, boundary, 0)}
	}
	return eventstore.NextCommand(ctx, boundary...)
}

// expecting returns the settings with the version that ctx expects, unless the call names
// one itself.
func (s settings) expecting(ctx context.Context) settings {
	if s.expected == nil {
		if v, ok := eventstore.TakeExpected(ctx); ok {
			ExpectVersion(v)(&s)
		}
	}
	return s
}

func (s settings) checkExpected(stream eventstore.StreamID, actual eventstore.Version) error {
	if s.expected == nil || *s.expected == actual {
		return nil
	}
	return &eventstore.VersionConflictError{Stream: stream, Expected: eventstore.Exactly(*s.expected), Actual: actual}
}
