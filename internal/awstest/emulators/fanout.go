package emulators

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// FanOut mends kinesis-local's answer to SubscribeToShard: it puts the frame before it with
// which the service begins, and without which the SDK refuses the rest.
type FanOut struct{ Over http.RoundTripper }

// RoundTrip is one call.
func (f FanOut) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := f.Over.RoundTrip(request)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasSuffix(request.Header.Get("X-Amz-Target"), ".SubscribeToShard") {
		return answer, err
	}
	var first bytes.Buffer
	message := eventstream.Message{Payload: []byte("{}")}
	message.Headers.Set(":message-type", eventstream.StringValue("event"))
	message.Headers.Set(":event-type", eventstream.StringValue("initial-response"))
	message.Headers.Set(":content-type", eventstream.StringValue("application/x-amz-json-1.1"))
	if err := eventstream.NewEncoder().Encode(&first, message); err != nil {
		return nil, err
	}
	answer.Body = &joined{io.MultiReader(&first, answer.Body), answer.Body}
	answer.ContentLength = -1
	return answer, nil
}

// joined reads more than the body that it closes.
type joined struct {
	io.Reader
	io.Closer
}
