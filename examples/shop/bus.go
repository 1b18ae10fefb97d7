package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/relay"
)

// busOf returns the bus of the flag --feed-to; nil for none. Region, keys and endpoint are those of the
// environment: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL.
func busOf(text string) (relay.Publisher, error) {
	if text == "" {
		return nil, nil
	}
	var endpoint *string
	if at := os.Getenv("AWS_ENDPOINT_URL"); at != "" {
		endpoint = &at
	}
	region, keys := os.Getenv("AWS_REGION"), aws.CredentialsProviderFunc(keysOfEnvironment)
	switch kind, name, _ := strings.Cut(text, ":"); {
	case name == "" || kind != "kinesis" && kind != "eventbridge":
		return nil, fmt.Errorf("--feed-to %q: want kinesis:STREAM or eventbridge:BUS", text)
	case region == "":
		return nil, fmt.Errorf("--feed-to %q: set AWS_REGION", text)
	case kind == "kinesis":
		return kinesisstore.Feed{API: kinesis.New(kinesis.Options{Region: region, Credentials: keys, BaseEndpoint: endpoint}), Stream: name}, nil
	default:
		client := eventbridge.New(eventbridge.Options{Region: region, Credentials: keys, BaseEndpoint: endpoint})
		return eventbridgebus.Publisher{Client: client, Bus: name, Source: "shop"}, nil
	}
}

func keysOfEnvironment(context.Context) (aws.Credentials, error) {
	keys := aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !keys.HasKeys() {
		return keys, errors.New("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return keys, nil
}
