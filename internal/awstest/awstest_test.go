package awstest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
)

func TestTheEmulatorsAnswer(t *testing.T) {
	t.Parallel()
	t.Run("Kinesis", func(t *testing.T) {
		t.Parallel()
		_, err := awstest.Kinesis(t, nil).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		require.NoError(t, err)
	})
	t.Run("DynamoDB", func(t *testing.T) {
		t.Parallel()
		_, err := awstest.DynamoDB(t, nil).ListTables(t.Context(), &dynamodb.ListTablesInput{})
		require.NoError(t, err)
	})
	t.Run("SQS", func(t *testing.T) {
		t.Parallel()
		queue, err := awstest.SQS(t, nil).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("first")})
		require.NoError(t, err)
		require.Contains(t, *queue.QueueUrl, "first")
	})
}
