package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/saga"
)

// A saga's commands go to the services that their names begin with. The worker does what is done here:
// it repeats a command under its id until somebody has said what became of it.
func ExampleToService() {
	server := httptest.NewServer(newService(httpapi.Options{}, nil))
	defer server.Close()
	dispatcher := saga.Routes{"account": httpapi.ToService(&httpapi.Client{URL: server.URL})} // saga.Worker.Dispatcher

	for _, c := range []saga.Command{
		{ID: "id1", Name: "account.deposit", Payload: []byte(`{"account":"ada","cents":5,"lines":[]}`)},
		{ID: "id1", Name: "account.deposit", Payload: []byte(`{"account":"ada","cents":5,"lines":[]}`)}, // again
		{ID: "id2", Name: "account.withdraw", Payload: []byte(`{"account":"ada","cents":6}`)},
		{ID: "id3", Name: "account.widthdraw", Payload: []byte(`{"account":"ada","cents":1}`)},
	} {
		err := dispatcher.Dispatch(context.Background(), c)
		fmt.Println(c.ID, "done:", err == nil, "refused:", errors.Is(err, saga.ErrRefused))
	}
	// Output:
	// id1 done: true refused: false
	// id1 done: true refused: false
	// id2 done: false refused: true
	// id3 done: false refused: false
}
