package system

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryPayloadIsTheJSONOfItsOrderAnd205BytesLong(t *testing.T) {
	for _, ref := range []int64{NewRef(0, 0), NewRef(0, 1), NewRef(255, 999_999_999)} {
		event := NewEvent(ref)
		text, err := json.Marshal(event.Order)
		require.NoError(t, err)
		assert.Equal(t, string(text), string(event.Data))
		assert.Len(t, event.Data, 205)
		assert.Equal(t, ref, event.Order.Ref)
	}
	assert.Len(t, Metadata, 53)
}

func TestARefIsFoundInWhateverJSONBMadeOfThePayload(t *testing.T) {
	ref := NewRef(3, 7)
	for _, data := range []string{string(NewEvent(ref).Data), `{"note": "x", "ref": 1000003000000007, "amount": 1}`, `{"ref": 1000003000000007}`} {
		found, err := RefOf([]byte(data))
		require.NoError(t, err)
		assert.Equal(t, ref, found)
		assert.Equal(t, 3, RefWriter(found))
	}
	for _, data := range []string{``, `{}`, `{"ref":12}`} {
		_, err := RefOf([]byte(data))
		assert.Error(t, err, data)
	}
}
