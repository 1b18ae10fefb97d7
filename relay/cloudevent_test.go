package relay_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/relay"
)

func TestDataThatIsNoJSONIsInBase64(t *testing.T) {
	for data, want := range map[string]map[string]any{
		`{"a":"<é>"}`: {"datacontenttype": "application/json", "data": map[string]any{"a": "<é>"}},
		`17`:          {"datacontenttype": "application/json", "data": 17.0},
		"\x08\x96":    {"datacontenttype": "application/octet-stream", "data_base64": "CJY="},
		"\"\xff\"":    {"datacontenttype": "application/octet-stream", "data_base64": "Iv8i"},
		"":            {},
	} {
		text, err := relay.Message{Data: []byte(data)}.CloudEvent()
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		for _, field := range []string{"datacontenttype", "data", "data_base64"} {
			require.Equal(t, want[field], got[field], "%s of %q", field, data)
		}
	}
}
