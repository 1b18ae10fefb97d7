package kinesisfake

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func invalid(format string, args ...any) error {
	return &types.InvalidArgumentException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// malformed is the error of an argument that breaks the API's model, whatever the stream.
func malformed(format string, args ...any) error {
	return &types.ValidationException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func notFound(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func inUse(format string, args ...any) error {
	return &types.ResourceInUseException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func throttled(message string) error {
	return &types.ProvisionedThroughputExceededException{Message: &message}
}

func expired(format string, args ...any) error {
	return &types.ExpiredIteratorException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func internalFailure() error {
	return &types.InternalFailureException{Message: aws.String("internal failure")}
}
