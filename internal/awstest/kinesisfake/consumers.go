package kinesisfake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// consumer is a registered reader with enhanced fan-out.
type consumer struct {
	name, arn  string
	stream     *stream
	registered time.Time
	subscribed map[string]*subscription // by shard, the newest one
}

// mostConsumers is how many a stream may have.
const mostConsumers = 20

// RegisterStreamConsumer registers a reader with enhanced fan-out.
func (f *Fake) RegisterStreamConsumer(ctx context.Context, in *kinesis.RegisterStreamConsumerInput, _ ...func(*kinesis.Options)) (*kinesis.RegisterStreamConsumerOutput, error) {
	return call(ctx, f, "RegisterStreamConsumer", func(now time.Time, _ fault.Kind) (*kinesis.RegisterStreamConsumerOutput, error) {
		s, err := f.find(nil, in.StreamARN)
		if err != nil {
			return nil, err
		}
		name := aws.ToString(in.ConsumerName)
		switch {
		case s.consumer(name, "") != nil:
			return nil, inUse("consumer %s exists", name)
		case len(s.consumers) == mostConsumers:
			return nil, &types.LimitExceededException{Message: aws.String("20 consumers are registered")}
		}
		c := &consumer{name: name, stream: s, registered: now, subscribed: map[string]*subscription{}}
		c.arn = fmt.Sprintf("%s%s/consumer/%s:%d", arnOfStreams, s.name, name, now.Unix())
		s.consumers = append(s.consumers, c)
		return &kinesis.RegisterStreamConsumerOutput{Consumer: &types.Consumer{
			ConsumerName: &name, ConsumerARN: &c.arn, ConsumerStatus: types.ConsumerStatusActive, ConsumerCreationTimestamp: aws.Time(now),
		}}, nil
	})
}

// DescribeStreamConsumer finds a registered reader.
func (f *Fake) DescribeStreamConsumer(ctx context.Context, in *kinesis.DescribeStreamConsumerInput, _ ...func(*kinesis.Options)) (*kinesis.DescribeStreamConsumerOutput, error) {
	return call(ctx, f, "DescribeStreamConsumer", func(time.Time, fault.Kind) (*kinesis.DescribeStreamConsumerOutput, error) {
		c, err := f.findConsumer(in.ConsumerName, in.ConsumerARN, in.StreamARN)
		if err != nil {
			return nil, err
		}
		return &kinesis.DescribeStreamConsumerOutput{ConsumerDescription: &types.ConsumerDescription{
			ConsumerName: &c.name, ConsumerARN: &c.arn, ConsumerStatus: types.ConsumerStatusActive,
			ConsumerCreationTimestamp: aws.Time(c.registered), StreamARN: aws.String(arnOfStreams + c.stream.name),
		}}, nil
	})
}

// DeregisterStreamConsumer ends a reader and its subscriptions.
func (f *Fake) DeregisterStreamConsumer(ctx context.Context, in *kinesis.DeregisterStreamConsumerInput, _ ...func(*kinesis.Options)) (*kinesis.DeregisterStreamConsumerOutput, error) {
	return call(ctx, f, "DeregisterStreamConsumer", func(time.Time, fault.Kind) (*kinesis.DeregisterStreamConsumerOutput, error) {
		c, err := f.findConsumer(in.ConsumerName, in.ConsumerARN, in.StreamARN)
		if err != nil {
			return nil, err
		}
		for _, sub := range c.subscribed {
			sub.cancel()
		}
		c.stream.consumers = slices.DeleteFunc(c.stream.consumers, func(other *consumer) bool { return other == c })
		return &kinesis.DeregisterStreamConsumerOutput{}, nil
	})
}

func (f *Fake) findConsumer(name, arn, streamARN *string) (*consumer, error) {
	whole, _, _ := strings.Cut(aws.ToString(arn), "/consumer/")
	if arn == nil {
		whole = aws.ToString(streamARN)
	}
	s, err := f.find(nil, &whole)
	if err != nil {
		return nil, err
	}
	if c := s.consumer(aws.ToString(name), aws.ToString(arn)); c != nil {
		return c, nil
	}
	return nil, notFound("consumer %s%s not found", aws.ToString(name), aws.ToString(arn))
}

func (s *stream) consumer(name, arn string) *consumer {
	for _, c := range s.consumers {
		if c.name == name || c.arn == arn {
			return c
		}
	}
	return nil
}
