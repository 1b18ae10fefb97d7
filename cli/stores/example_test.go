package stores_test

import (
	"fmt"

	"github.com/leftfold/leftfold/cli/stores"
)

// What a flag of your own program says about a stream; its client is k.Client(ctx).
func ExampleParseKinesis() {
	k, err := stores.ParseKinesis("kinesis://orders?region=eu-west-1&index=postgres%3A%2F%2Flocalhost%2Fshop%3Fschema%3Dorders")
	fmt.Println(k.Stream, k.Region, k.Index, err)
	_, err = stores.ParseKinesis("kinesis:orders")
	fmt.Println(err)
	// Output:
	// orders eu-west-1 postgres://localhost/shop?schema=orders <nil>
	// the URL of the Kinesis stream is wrong: want kinesis://STREAM
}
