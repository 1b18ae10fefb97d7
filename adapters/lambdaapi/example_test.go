package lambdaapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-lambda-go/events"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

// In a program's main: lambdaapi.Start(function, lambdaapi.StartOptions{Stop: store.Close}).
func ExampleHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "order "+r.PathValue("id"))
	})
	function := lambdaapi.HTTP(mux, lambdaapi.HTTPOptions{})

	event := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: "/dev/orders/42"}
	event.RequestContext.Stage, event.RequestContext.HTTP.Method = "dev", "GET"
	answer, err := function(context.Background(), event)
	fmt.Println(answer.StatusCode, answer.Body, err)
	// Output: 200 order 42 <nil>
}

// A batch is given again after its third record failed: the first two are not taken in twice.
func ExampleKinesis() {
	stream, sums := newShard("a", "b", "poison", "d"), &readModel{poison: "poison"}
	function := lambdaapi.Kinesis(stream, sums, lambdaapi.KinesisOptions{Logger: quiet})
	for range 2 {
		answer, err := function(context.Background(), stream.event(0, 1, 2, 3))
		fmt.Println(answer.BatchItemFailures, err, sums.rows)
	}
	// Output:
	// [{21}] <nil> [a b]
	// [{21}] <nil> [a b]
}

func ExampleSQS() {
	function := lambdaapi.SQS(func(_ context.Context, m events.SQSMessage) error {
		if m.Body == "bad" {
			return errors.New("it cannot be read")
		}
		fmt.Println(m.Body)
		return nil
	}, lambdaapi.SQSOptions{Logger: quiet})
	answer, err := function(context.Background(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "1", Body: "bad"}, {MessageId: "2", Body: "good"},
	}})
	fmt.Println(answer.BatchItemFailures, err)
	// Output:
	// good
	// [{1}] <nil>
}

func ExampleEventBridge() {
	function := lambdaapi.EventBridge(func(_ context.Context, event json.RawMessage) error {
		fmt.Println(string(event))
		return nil
	})
	_, err := function(context.Background(), json.RawMessage(`{"detail-type":"order.placed"}`))
	fmt.Println(err)
	// Output:
	// {"detail-type":"order.placed"}
	// <nil>
}
