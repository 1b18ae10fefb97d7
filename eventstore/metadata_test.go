package eventstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/eventstore"
)

func TestMetadataOfAContextAreThoseOfItsParentsWithTheInnermostOnTop(t *testing.T) {
	t.Parallel()
	outer := eventstore.WithMetadata(t.Context(), eventstore.Metadata{"host": "a", "actor": "ada"})
	inner := eventstore.WithMetadata(outer, eventstore.Metadata{"actor": "bob"})
	assert.Equal(t, eventstore.Metadata{"host": "a", "actor": "bob"}, eventstore.MetadataFrom(inner))
	assert.Equal(t, eventstore.Metadata{"host": "a", "actor": "ada"}, eventstore.MetadataFrom(outer))
	assert.Nil(t, eventstore.MetadataFrom(t.Context()))
	assert.Equal(t, t.Context(), eventstore.WithMetadata(t.Context(), nil))
}

func TestMetadataOfAContextCannotBeChanged(t *testing.T) {
	t.Parallel()
	given := eventstore.Metadata{"actor": "ada"}
	ctx := eventstore.WithMetadata(t.Context(), given)
	given["actor"] = "eve"
	eventstore.MetadataFrom(ctx)["actor"] = "eve"
	assert.Equal(t, eventstore.Metadata{"actor": "ada"}, eventstore.MetadataFrom(ctx))
}

func TestAnEventWithoutAConversationBeginsOne(t *testing.T) {
	t.Parallel()
	id := eventstore.NewEventID()
	for _, metadata := range []string{"", `{"actor":"ada"}`, `{"correlation_id":""}`, "of another form"} {
		ctx := eventstore.CausedBy(t.Context(), eventstore.Recorded{EventData: eventstore.EventData{ID: id, Metadata: []byte(metadata)}})
		assert.Equal(t, eventstore.Metadata{"correlation_id": id.String(), "causation_id": id.String()}, eventstore.MetadataFrom(ctx), metadata)
	}
}

// What is appended because of an event belongs to its conversation.
func ExampleCausedBy() {
	var placed eventstore.Recorded // as the handler of a projection gets it
	placed.ID = eventstore.EventID{15: 1}
	placed.Metadata = eventstore.Metadata{
		eventstore.MetadataCorrelationID: "request-1",
		eventstore.MetadataCausationID:   "order-7",
		eventstore.MetadataActor:         "ada",
	}.Encode()

	ctx := eventstore.CausedBy(context.Background(), placed)
	fmt.Println(string(eventstore.MetadataFrom(ctx).Encode()))
	// Output: {"causation_id":"00000000-0000-0000-0000-000000000001","correlation_id":"request-1"}
}

func TestMetadataAreEncodedAsJSONWould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z_<>&"\\\x7f]*`)), rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))).Draw(t, "m")
		if len(m) == 0 {
			return
		}
		want, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := eventstore.Metadata(m).Encode(); !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
