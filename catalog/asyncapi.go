package catalog

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/jsonschema"
)

// AsyncAPI returns the events as a document of AsyncAPI 3.0, in JSON. Each aggregate is a channel
// that the program sends to, with one stream for each id as its address. The channel log has
// the events of all streams, in the order of their positions; each projection receives some of
// them.
//
// A message is the payload of an event as it is written today. Events in the log may have an older
// schema version; what reads them upcasts them. Payloads that are not JSON have their content
// type and no schema.
//
// Errors: an event that JSON cannot hold, two definitions of one event, a projection of events
// that the catalog does not have, a schema in Schemas or of a JSONSchema method that is no JSON.
func (c Catalog) AsyncAPI() ([]byte, error) {
	events, err := c.events()
	if err != nil {
		return nil, fmt.Errorf("AsyncAPI: %w", err)
	}
	b := asyncBuilder{
		catalog: c, events: events, keys: keys{}, channels: keys{"": logChannel},
		schemas: jsonschema.NewSet("#/components/schemas/", c.Schemas),
		doc: asyncDocument{
			AsyncAPI: "3.0.0", Info: asyncInfo{cmp.Or(c.Title, "Events"), cmp.Or(c.Version, "0")},
			DefaultContentType: "application/json",
			Channels:           object[asyncChannel]{}, Operations: object[asyncOperation]{},
		},
	}
	if err := b.build(); err != nil {
		return nil, fmt.Errorf("AsyncAPI: %w", err)
	}
	return jsonschema.Document(b.doc)
}

// asyncBuilder fills the document.
type asyncBuilder struct {
	catalog        Catalog
	events         *codec.Set
	schemas        *jsonschema.Set
	keys, channels keys // of messages, by the names of events, and of channels, by categories
	doc            asyncDocument
}

const logChannel = "log"

func (b *asyncBuilder) build() error {
	if err := b.messages(); err != nil {
		return err
	}
	for _, a := range b.catalog.Aggregates {
		if err := b.aggregate(a); err != nil {
			return err
		}
	}
	b.doc.Channels[logChannel] = asyncChannel{
		Title: "The log", Messages: b.references(b.events),
		Description: "Every event of every stream, in the order of positions.",
	}
	for _, p := range b.catalog.Projections {
		names, err := reads(p, b.events)
		if err != nil {
			return err
		}
		r := p.Registration()
		b.doc.Operations["project."+r.Name] = asyncOperation{
			Action: "receive", Channel: refTo("channels", logChannel), Messages: b.inChannel(logChannel, names),
			Title: fmt.Sprintf("The projection %s, version %d", r.Name, r.Version),
		}
	}
	b.doc.Components.Schemas = b.schemas.Definitions()
	return nil
}

// messages describes every event.
func (b *asyncBuilder) messages() error {
	b.doc.Components.Messages = object[asyncMessage]{}
	for _, t := range b.events.Types() {
		m := asyncMessage{Name: t.Name, Title: t.Name, ContentType: t.ContentType, SchemaVersion: t.SchemaVersion}
		if t.ContentType == "application/json" {
			payload, err := b.schemas.Of(t.GoType, jsonschema.Written)
			if err != nil {
				return fmt.Errorf("event %q: %w", t.Name, err)
			}
			m.Payload = payload
		} else {
			m.Description = fmt.Sprintf("The payload is not JSON: a %s, see the Go type.", t.GoType)
		}
		b.doc.Components.Messages[b.keys.of(t.Name)] = m
	}
	return nil
}

// aggregate adds the channel of a category and what is sent to it.
func (b *asyncBuilder) aggregate(a Aggregate) error {
	category := a.Category()
	if _, twice := b.channels[category]; twice {
		return fmt.Errorf("two aggregates have the category %q", category)
	}
	key := b.channels.of(category)
	channel := asyncChannel{
		Title: "The streams of category " + category, Messages: b.references(a.Events()),
		Description: "One stream for each id, whose events are numbered from 1.",
	}
	if !strings.ContainsAny(category, "{}") { // else an address cannot say it
		channel.Address = new(category + "-{id}")
		channel.Parameters = object[asyncParameter]{"id": {"The id of the " + category + "."}}
	}
	b.doc.Channels[key] = channel
	b.doc.Operations["append."+key] = asyncOperation{
		Action: "send", Channel: refTo("channels", key), Messages: b.inChannel(key, namesOf(a.Events())),
		Title: "Append to a stream of category " + category,
	}
	return nil
}

// references are a channel's messages.
func (b *asyncBuilder) references(events *codec.Set) object[ref] {
	all := object[ref]{}
	for _, name := range namesOf(events) {
		all[b.keys.of(name)] = refTo("components", "messages", b.keys.of(name))
	}
	return all
}

func (b *asyncBuilder) inChannel(channel string, names []string) []ref {
	refs := make([]ref, 0, len(names))
	for _, name := range names {
		refs = append(refs, refTo("channels", channel, "messages", b.keys.of(name)))
	}
	return refs
}

func namesOf(events *codec.Set) []string {
	var names []string
	for _, t := range events.Types() {
		names = append(names, t.Name)
	}
	return names
}
