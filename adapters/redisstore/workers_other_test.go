//go:build !unix

package redisstore_test

import (
	"context"
	"errors"
)

const childLog = "LEFTFOLD_REDIS_CHILD_LOG"

func work(context.Context) error { return errors.New("the torture of workers needs signals") }
