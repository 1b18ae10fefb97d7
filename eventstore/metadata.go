package eventstore

import (
	"context"
	"maps"
)

type metadataKey struct{}

// WithMetadata returns a context that carries m on top of the metadata that ctx carries: of
// two values of one key, that of m holds. The command bus and package aggregate put what ctx
// carries into every event that they append under it. A store adds nothing by itself.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	if len(m) == 0 {
		return ctx
	}
	all := MetadataFrom(ctx)
	if all == nil {
		all = make(Metadata, len(m))
	}
	maps.Copy(all, m)
	return context.WithValue(ctx, metadataKey{}, all)
}

// MetadataFrom returns the metadata that ctx carries, a copy; nil if it carries none.
func MetadataFrom(ctx context.Context) Metadata {
	m, _ := ctx.Value(metadataKey{}).(Metadata)
	return maps.Clone(m)
}

// CausedBy returns a context for what is done because of an event, such as the commands that a
// projection's handler dispatches. Under it events belong to the event's conversation, by its
// correlation id, and have its id as their cause. The event of no conversation begins one, named
// by its id. Who acted is not taken over: it is whoever reacts now, see command.Principal.
//
// Metadata that are not in the usual form count as none.
func CausedBy(ctx context.Context, event Recorded) context.Context {
	id := event.ID.String()
	m := Metadata{MetadataCorrelationID: id, MetadataCausationID: id}
	if of, err := ParseMetadata(event.Metadata); err == nil && of[MetadataCorrelationID] != "" {
		m[MetadataCorrelationID] = of[MetadataCorrelationID]
	}
	return WithMetadata(ctx, m)
}
