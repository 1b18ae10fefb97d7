package lambdaapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

func TestAHandlerCannotPutALineEndIntoAHeader(t *testing.T) {
	answer, err := lambdaapi.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/next\r\nSet-Cookie: admin=1")
		w.Header().Add("Set-Cookie", "a=1\r\nX-Evil: 1")
		w.Header()["X Y\r\nZ"] = []string{"no name"}
		w.WriteHeader(http.StatusFound)
	}), lambdaapi.HTTPOptions{})(t.Context(), get(t, "/"))
	require.NoError(t, err)
	assert.Equal(t, events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusFound, Headers: map[string]string{"Location": "/next  Set-Cookie: admin=1"}, Cookies: []string{"a=1  X-Evil: 1"},
	}, answer, "as net/http writes them")
}

func TestAnAnswerWithoutEndIsCutOffAndNotKept(t *testing.T) {
	wrote := 0
	answer, err := lambdaapi.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("x", 1<<20))
		for wrote < 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			wrote++
		}
	}), lambdaapi.HTTPOptions{Logger: quiet})(t.Context(), get(t, "/"))
	require.NoError(t, err)
	assert.Equal(t, http.StatusInternalServerError, answer.StatusCode)
	assert.Contains(t, answer.Body, "ask for less at a time")
	assert.Less(t, wrote, 10)
}
