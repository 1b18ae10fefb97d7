package eventstore_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

const someToken = "0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f.3.42"

func TestTokenTextRoundTrip(t *testing.T) {
	token, err := eventstore.ParseToken(someToken)
	require.NoError(t, err)
	require.Equal(t, int32(3), token.Incarnation)
	require.Equal(t, eventstore.Position(42), token.Position)
	require.Equal(t, someToken, token.String())

	text, err := json.Marshal(token)
	require.NoError(t, err)
	var again eventstore.Token
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, token, again)
}

func TestMalformedTokensAreRefused(t *testing.T) {
	const store = "0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f"
	for _, text := range []string{
		"", ".", "..", "a.b.c", store, store + ".1", store + ".1.", store + ".0.1", store + ".-1.1", store + ".1.-1",
		store + ".2147483648.1", store + ".1.9223372036854775808", store + ".1.1.1", store + ".1.1 ", " " + store + ".1.1",
		store[:35] + ".1.1", "0190b8a4x3c5e-7cc0-b000-1a2b3c4d5e6f.1.1", "g190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f.1.1",
	} {
		token, err := eventstore.ParseToken(text)
		require.ErrorIs(t, err, eventstore.ErrInvalid, "token %q", text)
		require.Zero(t, token)
	}
}

func TestIdentityTellsForeignFromDiverged(t *testing.T) {
	token, err := eventstore.ParseToken(someToken)
	require.NoError(t, err)
	require.NoError(t, token.Identity.Check(token))
	restored := token.Identity
	restored.Incarnation++
	require.ErrorIs(t, restored.Check(token), eventstore.ErrDiverged)
	other := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: token.Incarnation}
	require.ErrorIs(t, other.Check(token), eventstore.ErrForeignToken)
}

// FuzzParseToken: a token comes from a header. Parsing never panics, and what parses
// means the same after a round trip through its text.
func FuzzParseToken(f *testing.F) {
	for _, seed := range []string{someToken, "", "...", "a.1.1", someToken + "0000000000000000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := eventstore.ParseToken(text)
		if err != nil {
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.Zero(t, token)
			return
		}
		require.Positive(t, token.Incarnation)
		require.GreaterOrEqual(t, token.Position, eventstore.Position(0))
		again, err := eventstore.ParseToken(token.String())
		require.NoError(t, err)
		require.Equal(t, token, again)
	})
}
