package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

func ExampleOpenAPI() {
	type Deposit struct {
		Cents uint32 `json:"cents"`
	}
	bus := command.NewBus()
	command.Handle(bus, "account.deposit", func(context.Context, Deposit) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	text, err := httpapi.OpenAPI(httpapi.Description{Title: "Bank", Version: "1.0", Commands: bus})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/commands/", httpapi.Commands(bus, httpapi.Options{}))
	mux.Handle("/openapi.json", httpapi.Document(text))

	var document struct {
		Paths      map[string]any
		Components struct {
			Schemas struct{ Deposit json.RawMessage }
		}
	}
	if err := json.Unmarshal(do(mux, http.MethodGet, "/openapi.json", "").Body.Bytes(), &document); err != nil {
		fmt.Println(err)
	}
	for path := range document.Paths {
		fmt.Println(path)
	}
	fmt.Printf("%s\n", document.Components.Schemas.Deposit)
	// Output:
	// /commands/account.deposit
	// {
	//         "type": "object",
	//         "properties": {
	//           "cents": {
	//             "type": "integer",
	//             "minimum": 0,
	//             "maximum": 4294967295
	//           }
	//         },
	//         "additionalProperties": false
	//       }
}
