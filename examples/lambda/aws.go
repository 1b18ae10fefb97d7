package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// The clients are configured by the variables that Lambda sets. AWS_ENDPOINT_URL_… are for tests.

func kinesisClient() *kinesis.Client {
	return kinesis.New(kinesis.Options{Region: os.Getenv("AWS_REGION"), Credentials: aws.CredentialsProviderFunc(credentials), BaseEndpoint: endpoint("KINESIS")})
}

// login returns the user and the password in a secret. They are read once: after a change the functions
// must be started anew.
func login(ctx context.Context, secret string) (user, password string, err error) {
	client := secretsmanager.New(secretsmanager.Options{
		Region: os.Getenv("AWS_REGION"), Credentials: aws.CredentialsProviderFunc(credentials), BaseEndpoint: endpoint("SECRETS_MANAGER"),
	})
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
	if err != nil {
		return "", "", fmt.Errorf("read the secret of the database: %w", err)
	}
	var value struct{ Username, Password string }
	if err := json.Unmarshal([]byte(aws.ToString(out.SecretString)), &value); err != nil || value.Username == "" {
		return "", "", fmt.Errorf("secret %s is not JSON with username and password", secret) // the error might show it
	}
	return value.Username, value.Password, nil
}

func endpoint(service string) *string {
	if url := os.Getenv("AWS_ENDPOINT_URL_" + service); url != "" {
		return &url
	}
	return nil
}

func credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}, nil
}
