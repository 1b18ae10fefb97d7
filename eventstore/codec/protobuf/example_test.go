package protobuf_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/protobuf"
	"github.com/leftfold/leftfold/eventstore/codec/protobuf/internal/orderpb"
)

func parseCents(total string) (int64, error) {
	return strconv.ParseInt(strings.Replace(total, ".", "", 1), 10, 64)
}

// Events are pointers to generated messages; a helper saves typing the format for each.
func Example() {
	events, err := codec.NewSet(
		codec.Event[*orderpb.Placed]("order.placed", codec.In(protobuf.Format{}), codec.Version(2),
			codec.Upcast(1, func(old *orderpb.PlacedV1) (*orderpb.Placed, error) {
				cents, err := parseCents(old.GetTotal())
				return &orderpb.Placed{Customer: old.GetCustomer(), Cents: cents, Currency: "EUR"}, err
			})))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := events.Encode(&orderpb.Placed{Customer: "ada", Cents: 1250, Currency: "EUR"})
	fmt.Println(len(data.Data), "bytes", err)

	decoded, err := events.Decode(eventstore.Recorded{EventData: data})
	placed := decoded[0].(*orderpb.Placed)
	fmt.Println(placed.GetCustomer(), placed.GetCents(), err)
	// Output:
	// 13 bytes <nil>
	// ada 1250 <nil>
}
