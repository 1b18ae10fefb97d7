package emulators

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Region is where the emulators say they are.
const Region = "eu-west-1"

// Credentials are those of nobody: an emulator takes any.
var Credentials aws.CredentialsProvider = aws.CredentialsProviderFunc(nobody)

// Transport is what clients go over, and what a test puts its faults around. It has no proxy:
// emulators are on this machine.
var Transport = &http.Transport{MaxIdleConnsPerHost: 64}

// KinesisClient returns the SDK's client of an emulator, over a transport; nil is [Transport].
func (e *Emulator) KinesisClient(over http.RoundTripper) *kinesis.Client {
	return kinesis.New(kinesis.Options{BaseEndpoint: aws.String(e.URL()), Region: Region, Credentials: Credentials, HTTPClient: client(over)})
}

// DynamoDBClient is as KinesisClient.
func (e *Emulator) DynamoDBClient(over http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{BaseEndpoint: aws.String(e.URL()), Region: Region, Credentials: Credentials, HTTPClient: client(over)})
}

// SQSClient is as KinesisClient.
func (e *Emulator) SQSClient(over http.RoundTripper) *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: aws.String(e.URL()), Region: Region, Credentials: Credentials, HTTPClient: client(over)})
}

func client(over http.RoundTripper) *http.Client {
	if over == nil {
		over = Transport
	}
	return &http.Client{Transport: over}
}

func nobody(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "nobody", SecretAccessKey: "nothing"}, nil
}
