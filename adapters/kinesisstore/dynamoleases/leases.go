package dynamoleases

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// API is what is called of DynamoDB; [dynamodb.Client] has it. The options of a call must be
// heeded: they forbid the SDK to repeat a write by itself.
type API interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Leases is a [consumer.LeaseStore].
type Leases struct {
	api   API
	table string
}

const (
	key     = "leaseKey"
	owner   = "leaseOwner"
	wanted  = "leaseWanted"
	counter = "leaseCounter"
)

// created is how long a new table may take. DynamoDB says "a few seconds".
const created = 2 * time.Minute

// Open returns the leases in a table, which is one consumer's alone: of one stream, for one
// target. If it is not there it is created, with on-demand billing, which takes DynamoDB a few
// seconds; with the table made beforehand (its key: leaseKey, a string) the worker needs no
// right to create one, only DescribeTable, Scan, PutItem and DeleteItem.
func Open(ctx context.Context, api API, table string) (*Leases, error) {
	l := &Leases{api: api, table: table}
	out, err := api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err == nil && out.Table.TableStatus == types.TableStatusActive {
		return l, nil
	}
	var missing *types.ResourceNotFoundException
	if err != nil && !errors.As(err, &missing) {
		return nil, fmt.Errorf("open the leases in table %s: %w", table, err)
	}
	if err != nil {
		if err := l.create(ctx); err != nil {
			return nil, fmt.Errorf("create table %s for leases: %w", table, err)
		}
	}
	often := func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 2*time.Second
	}
	if err := dynamodb.NewTableExistsWaiter(api).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &table}, created, often); err != nil {
		return nil, fmt.Errorf("wait for table %s of leases: %w", table, err)
	}
	return l, nil
}

func (l *Leases) create(ctx context.Context) error {
	_, err := l.api.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            &l.table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(key), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(key), KeyType: types.KeyTypeHash}},
	})
	if taken := (*types.ResourceInUseException)(nil); errors.As(err, &taken) {
		return nil // another worker was faster, or the answer to our first try was lost
	}
	return err
}

// List is that of [consumer.LeaseStore].
func (l *Leases) List(ctx context.Context) ([]consumer.Lease, error) {
	var all []consumer.Lease
	in := &dynamodb.ScanInput{TableName: &l.table, ConsistentRead: aws.Bool(true)}
	for {
		out, err := l.api.Scan(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("scan table %s: %w", l.table, err)
		}
		for _, item := range out.Items {
			lease, err := decode(item)
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", l.table, err)
			}
			all = append(all, lease)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return all, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// Write is that of [consumer.LeaseStore].
func (l *Leases) Write(ctx context.Context, lease consumer.Lease) error {
	in := &dynamodb.PutItemInput{TableName: &l.table, Item: encode(lease)}
	if lease.Counter == 1 {
		in.ConditionExpression = aws.String("attribute_not_exists(" + key + ")")
	} else {
		in.ConditionExpression = aws.String(counter + " = :before")
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":before": number(lease.Counter - 1)}
	}
	_, err := l.api.PutItem(ctx, in, once)
	return lost(err)
}

// Remove is that of [consumer.LeaseStore].
func (l *Leases) Remove(ctx context.Context, lease consumer.Lease) error {
	_, err := l.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &l.table,
		Key:                       map[string]types.AttributeValue{key: text(lease.Shard)},
		ConditionExpression:       aws.String(counter + " = :stored"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":stored": number(lease.Counter)},
	}, once)
	return lost(err)
}

// once keeps the SDK from repeating a write whose answer was lost: the second one would meet
// the first, and we would call our own write another worker's. The worker looks what is
// stored before it tries again.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// lost is [consumer.ErrLost] if the stored lease was another one.
func lost(err error) error {
	if another := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &another) {
		return consumer.ErrLost
	}
	return err
}

func encode(lease consumer.Lease) map[string]types.AttributeValue {
	item := map[string]types.AttributeValue{key: text(lease.Shard), counter: number(lease.Counter)}
	if lease.Owner != "" {
		item[owner] = text(lease.Owner)
	}
	if lease.Wanted != "" {
		item[wanted] = text(lease.Wanted)
	}
	return item
}

func decode(item map[string]types.AttributeValue) (consumer.Lease, error) {
	lease := consumer.Lease{Shard: textOf(item[key]), Owner: textOf(item[owner]), Wanted: textOf(item[wanted])}
	stored, ok := item[counter].(*types.AttributeValueMemberN)
	if !ok {
		return lease, fmt.Errorf("item %q has no number %s: the table is not a consumer's own", lease.Shard, counter)
	}
	n, err := strconv.ParseInt(stored.Value, 10, 64)
	if err != nil {
		return lease, fmt.Errorf("item %q: %s: %w", lease.Shard, counter, err)
	}
	lease.Counter = n
	return lease, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// textOf is the reverse of text; what is not there is empty.
func textOf(v types.AttributeValue) string {
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}
