package lambdaapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// answer keeps what a handler writes.
type answer struct {
	header http.Header // as the handler changes it
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
	head   bool // the request was HEAD: there is no body
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http does
	}
	if a.sent != nil || status < http.StatusOK { // what is only informative cannot be sent
		return
	}
	a.status, a.sent = status, a.header.Clone()
	if a.sent == nil {
		a.sent = http.Header{}
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if !bodyAllowed(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if a.sniffs() {
		a.sent.Set("Content-Type", http.DetectContentType(p))
	}
	if a.head {
		return len(p), nil
	}
	if a.body.Len() > MaxAnswer { // it will not be sent: keep no more of it
		return 0, errTooLarge
	}
	return a.body.Write(p)
}

func (a *answer) WriteString(s string) (int, error) { return a.Write([]byte(s)) }

var errTooLarge = fmt.Errorf("the answer has more than the %d bytes that Lambda takes; write less", MaxAnswer)

// Flush is there for handlers that ask for it; nothing leaves before the handler has returned.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

// sniffs reports whether the first bytes of the body say what it is, as net/http has it.
func (a *answer) sniffs() bool {
	_, typed := a.sent["Content-Type"]
	return !typed && a.sent.Get("Content-Encoding") == "" && a.sent.Get("Transfer-Encoding") == "" && a.body.Len() == 0
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// response returns the answer as the gateway takes it.
func (a *answer) response() events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)
	response := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: map[string]string{}}
	for _, cookie := range a.sent["Set-Cookie"] {
		response.Cookies = append(response.Cookies, oneLine.Replace(cookie))
	}
	for name := range maps.Keys(a.sent) {
		switch name {
		case "Set-Cookie", "Trailer", "Transfer-Encoding", "Connection", "Content-Length": // the gateway's own
			continue
		}
		if values := a.sent[name]; len(values) > 0 && isName(name) {
			response.Headers[name] = oneLine.Replace(strings.Join(values, ", "))
		}
	}
	if utf8.Valid(a.body.Bytes()) {
		response.Body = a.body.String()
	} else {
		response.Body, response.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body.Bytes()), true
	}
	return response
}

// oneLine keeps a value from becoming another header, as net/http does.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// isName reports whether a header can have that name, as net/http does: a token of RFC 9110, which no trailer's
// prefix is.
func isName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// sizeOf returns how many bytes Lambda counts.
func sizeOf(response events.APIGatewayV2HTTPResponse) int {
	if len(response.Body) > MaxAnswer {
		return len(response.Body)
	}
	encoded, err := json.Marshal(response)
	if err != nil { // strings
		panic(err)
	}
	return len(encoded)
}

func tooLarge() events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusInternalServerError,
		Headers:    map[string]string{"Content-Type": "application/problem+json"},
		Body:       fmt.Sprintf(`{"title":"Internal Server Error","status":500,"detail":"the answer has more than the %d bytes that Lambda takes; ask for less at a time"}`, MaxAnswer),
	}
}
