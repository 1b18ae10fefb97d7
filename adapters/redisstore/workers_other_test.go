//go:build !unix

package redisstore_test

import (
	"context"
	"errors"
)

func work(context.Context) error { return errors.New("the torture of workers needs signals") }
