package otelhooks

import (
	"bytes"
	"context"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/eventstore"
)

// traceparent is the key of the trace context in metadata, as in W3C Trace Context.
const traceparent = "traceparent"

var w3c propagation.TraceContext

// stamp returns the request with the trace context of ctx in the metadata of its events, and
// whether there is one in any. The request itself is not changed. A span that nobody keeps is
// left out: it would only take space, for ever.
func stamp(ctx context.Context, request eventstore.AppendRequest) (stamped eventstore.AppendRequest, changed bool) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return request, false
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	s := stamper{context: carrier[traceparent]}
	request.Writes = slices.Clone(request.Writes)
	for n := range request.Writes {
		events := slices.Clone(request.Writes[n].Events)
		for k := range events {
			events[k].Metadata = s.stamp(events[k].Metadata)
		}
		request.Writes[n].Events = events
	}
	return request, s.changed
}

// stamper adds a trace context to metadata. Most often all events of an append have the same.
type stamper struct {
	context      string
	given, added []byte // the last ones
	changed      bool
}

func (s *stamper) stamp(metadata []byte) []byte {
	if s.added != nil && bytes.Equal(metadata, s.given) {
		return s.added
	}
	s.given, s.added = metadata, metadata
	m, err := eventstore.ParseMetadata(metadata)
	if err != nil || m[traceparent] != "" {
		return metadata // not in the usual form, or the caller's own
	}
	if m == nil {
		m = eventstore.Metadata{}
	}
	m[traceparent] = s.context
	s.added, s.changed = m.Encode(), true
	return s.added
}

// maxLinks is the most appends that a window links to; SDKs keep 128 links of a span.
const maxLinks = 64

// links returns links to the spans that appended the events, each once.
func links(events []eventstore.Recorded) (all []trace.Link) {
	seen := map[string]bool{}
	for _, event := range events {
		if !bytes.Contains(event.Metadata, []byte(`"`+traceparent+`"`)) {
			continue
		}
		m, err := eventstore.ParseMetadata(event.Metadata)
		if err != nil || seen[m[traceparent]] {
			continue
		}
		seen[m[traceparent]] = true
		of := trace.SpanContextFromContext(w3c.Extract(context.Background(), propagation.MapCarrier{traceparent: m[traceparent]}))
		if !of.IsValid() {
			continue
		}
		if all = append(all, trace.Link{SpanContext: of}); len(all) == maxLinks {
			break
		}
	}
	return all
}
