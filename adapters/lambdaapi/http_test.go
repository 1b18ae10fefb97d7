package lambdaapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

func get(t *testing.T, path string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	event, err := eventOf(raw("GET", path, ""))
	require.NoError(t, err)
	return event
}

func TestWhatStandsForTheStageIsTakenOffThePath(t *testing.T) {
	for _, c := range []struct{ path, stage, prefix, want string }{
		{"/orders/1", "$default", "", "/orders/1"},
		{"/dev/orders/1", "dev", "", "/orders/1"},
		{"/dev", "dev", "", "/"},
		{"/development/1", "dev", "", "/development/1"},
		{"/orders/1", "dev", "", "/orders/1"}, // a custom domain
		{"/v1/orders/1", "$default", "/v1", "/orders/1"},
		{"/dev/v1/orders%2F1", "dev", "/v1/", "/orders%2F1"},
		{"/a b/%", "$default", "", "/a%20b/%25"}, // no escaped path: itself
	} {
		event := get(t, "/")
		event.RawPath, event.RequestContext.Stage = c.path, c.stage
		answer, err := lambdaapi.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.URL.EscapedPath())
		}), lambdaapi.HTTPOptions{Prefix: c.prefix})(t.Context(), event)
		require.NoError(t, err)
		assert.Equal(t, c.want, answer.Body)
	}
}

func TestAHandlerIsToldWhatTheGatewayKnows(t *testing.T) {
	event := get(t, "/")
	event.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"sub": "ada"}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	invocation, _ := ctx.Deadline()
	s := byLambda(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gateway, ok := lambdaapi.Gateway(r.Context())
		fmt.Fprintln(w, r.RemoteAddr, ok, gateway.Authorizer.JWT.Claims["sub"])
	}), event)
	assert.Equal(t, "203.0.113.7:0 true ada\n", s.Body)
	_, err := lambdaapi.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		deadline, ok := r.Context().Deadline()
		assert.True(t, ok)
		assert.True(t, deadline.Before(invocation), "there is time to answer")
	}), lambdaapi.HTTPOptions{})(ctx, event)
	require.NoError(t, err)
	_, ok := lambdaapi.Gateway(t.Context())
	assert.False(t, ok)
}

func TestAPanicIsA500(t *testing.T) {
	s := byLambda(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half an answer")
		panic("password=hunter2")
	}), get(t, "/"))
	assert.Equal(t, seen{Status: http.StatusInternalServerError}, s)
}

func TestAnAnswerThatLambdaWouldNotTakeSaysSo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body string
		want int
	}{
		{strings.Repeat("x", lambdaapi.MaxAnswer-1000), http.StatusOK},
		{strings.Repeat("x", lambdaapi.MaxAnswer), http.StatusInternalServerError},
		{strings.Repeat("\xff", 5<<20), http.StatusInternalServerError}, // a third more in base64
	} {
		answer, err := lambdaapi.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, c.body)
		}), lambdaapi.HTTPOptions{Logger: quiet})(t.Context(), get(t, "/"))
		require.NoError(t, err)
		require.Equal(t, c.want, answer.StatusCode)
		if c.want == http.StatusOK {
			require.Equal(t, c.body, answer.Body)
			continue
		}
		require.Contains(t, answer.Body, "ask for less at a time")
	}
}

func TestAnotherFormatOfEventsIsRefused(t *testing.T) {
	_, err := lambdaapi.HTTP(http.NotFoundHandler(), lambdaapi.HTTPOptions{})(t.Context(), events.APIGatewayV2HTTPRequest{Version: "1.0"})
	require.ErrorContains(t, err, "set PayloadFormatVersion of the integration to 2.0")
	broken := get(t, "/")
	broken.Body, broken.IsBase64Encoded = "%", true
	assert.Equal(t, http.StatusBadRequest, byLambda(t, http.NotFoundHandler(), broken).Status)
}
