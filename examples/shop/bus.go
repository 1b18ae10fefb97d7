package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/relay"
)

// busOf returns the bus of the flag --feed-to; nil for none.
func busOf(ctx context.Context, at string) (relay.Publisher, error) {
	switch {
	case at == "":
		return nil, nil
	case stores.IsKinesis(at):
		stream, err := stores.ParseKinesis(at)
		if err != nil {
			return nil, err
		}
		client, err := stream.Client(ctx)
		return kinesisstore.Feed{API: client, Stream: stream.Stream}, err
	case strings.HasPrefix(at, "eventbridge://"):
		return eventBridge(ctx, at)
	}
	return nil, cli.Usagef("--feed-to %q: want kinesis://STREAM or eventbridge://BUS", at)
}

// eventBridge reads eventbridge://BUS?region=NAME&endpoint=URL.
func eventBridge(ctx context.Context, at string) (relay.Publisher, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, cli.Usagef("--feed-to %q: want eventbridge://BUS?region=NAME&endpoint=URL, of which the parameters may be left out", at)
	}
	for name := range u.Query() {
		if name != "region" && name != "endpoint" {
			return nil, cli.Usagef("--feed-to %q: unknown parameter %s: want region and endpoint", at, name)
		}
	}
	config, err := stores.AWS(ctx, u.Query().Get("region"), u.Query().Get("endpoint"))
	if err != nil {
		return nil, err
	}
	return eventbridgebus.Publisher{Client: eventbridge.NewFromConfig(config), Bus: u.Host, Source: "shop"}, nil
}
