package lambdaapi_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

// eventOf makes of a request, as it is on the wire, what an API Gateway makes of it.
func eventOf(raw string) (event events.APIGatewayV2HTTPRequest, err error) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return event, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return event, err
	}
	event.Version, event.Headers = "2.0", map[string]string{"host": r.Host}
	event.RawPath, event.RawQueryString, _ = strings.Cut(r.RequestURI, "?")
	for name, values := range r.Header {
		if name == "Cookie" {
			event.Cookies = strings.Split(strings.Join(values, "; "), "; ")
			continue
		}
		event.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	event.RequestContext.Stage = "$default"
	event.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: r.Method, Protocol: r.Proto, SourceIP: "203.0.113.7"}
	event.Body = string(body)
	if !utf8.Valid(body) {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event, nil
}

// seen is what a client sees of an answer.
type seen struct {
	Status  int
	Headers []string
	Cookies []string
	Body    string
}

var storeID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// anyStore leaves out the id of the store, of which each shape has its own.
func (s seen) anyStore() seen {
	for n, header := range s.Headers {
		s.Headers[n] = storeID.ReplaceAllString(header, "<store>")
	}
	slices.Sort(s.Headers)
	s.Body = storeID.ReplaceAllString(s.Body, "<store>")
	return s
}

// byLambda sends the event to the function, through JSON both ways.
func byLambda(t testing.TB, handler http.Handler, event events.APIGatewayV2HTTPRequest) seen {
	t.Helper()
	response, err := lambdaapi.HTTP(handler, lambdaapi.HTTPOptions{Logger: quiet})(t.Context(), throughJSON(t, event))
	require.NoError(t, err)
	response = throughJSON(t, response)
	s := seen{Status: response.StatusCode, Cookies: response.Cookies, Body: response.Body}
	if response.IsBase64Encoded {
		body, err := base64.StdEncoding.DecodeString(response.Body)
		require.NoError(t, err)
		s.Body = string(body)
	}
	for name, value := range response.Headers {
		s.Headers = append(s.Headers, name+": "+value)
	}
	return s.anyStore()
}

// throughJSON encodes and decodes a value.
func throughJSON[T any](t testing.TB, value T) (decoded T) {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	return decoded
}

// container is a server as in a container.
func container(t testing.TB, handler http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// byContainer sends the request to the server as it is.
func byContainer(t testing.TB, address, raw string) seen {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, raw)
	require.NoError(t, err)
	method, _, _ := strings.Cut(raw, " ")
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	s := seen{Status: response.StatusCode, Cookies: response.Header["Set-Cookie"], Body: string(body)}
	for name, values := range response.Header {
		if !slices.Contains([]string{"Set-Cookie", "Date", "Content-Length", "Connection"}, name) {
			s.Headers = append(s.Headers, name+": "+strings.Join(values, ", "))
		}
	}
	return s.anyStore()
}

// raw is a request on the wire.
func raw(method, target, body string, headers ...string) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n", method, target)
	for _, header := range headers {
		text += header + "\r\n"
	}
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return text + "\r\n" + body
}
