package codec_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/codec"
)

type (
	payment interface{ pence() int64 }
	paid    struct{ By []payment }
	signed  struct {
		Name  string
		Alias string `json:"Name"`
	}
	called struct{ Back func() }

	node struct {
		Left, Right *node
		At          time.Time
		Extra       map[string]any
		Reader      io.Reader `json:"-"`
		secret      chan int  //nolint:unused // what is not exported is not stored
	}
	embedding struct {
		node
		Note string
	}
)

// Each would be appended without complaint, and then never be read or not in full.
func TestAnEventThatJSONCannotReadBackIsRefused(t *testing.T) {
	for want, definition := range map[string]codec.Definition{
		"paid.By is a codec_test.payment, an interface": codec.Event[paid]("order.paid"),
		`signed.Alias has the JSON name "Name" of Name`: codec.Event[signed]("order.signed"),
		"called.Back is a func(), which JSON cannot":    codec.Event[called]("order.called"),
	} {
		_, err := codec.NewSet(definition)
		assert.ErrorContains(t, err, want)
	}
}

func TestAnEventMayHoldWhatJSONReadsBack(t *testing.T) {
	_, err := codec.NewSet(codec.Event[node]("tree.grown"), codec.Event[embedding]("tree.labelled"))
	require.NoError(t, err)
}
