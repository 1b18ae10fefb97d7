// Lambda: a small shop as Lambda functions: its commands and queries behind an API Gateway, and a read
// model that follows a Kinesis stream. The same program serves HTTP where there is no Lambda:
// a container, or your machine.
//
//	FUNCTION=api        API Gateway HTTP API (default)
//	FUNCTION=projector  the event source mapping of a stream
//	DATABASE            a file, or the URL of a Postgres database; default lambda.db, or what follows
//	PGHOST, …           where Postgres is, as deploy/cloudformation/serverless.yaml says it
//	DATABASE_SECRET_ARN the secret that has its username and password
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/lambdaapi"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// run opens what the function uses once for the sandbox, and not for each invocation.
func run(ctx context.Context) error {
	db, err := open(ctx)
	if err != nil {
		return err
	}
	options := lambdaapi.StartOptions{Stop: db.close}
	switch function := os.Getenv("FUNCTION"); {
	case os.Getenv("AWS_LAMBDA_RUNTIME_API") == "":
		return serve(ctx, db)
	case function == "projector":
		target, _, err := sales{db.DB}.follow(ctx)
		if err != nil {
			return errors.Join(err, db.close(ctx))
		}
		lambdaapi.Start(lambdaapi.Kinesis(kinesisClient(), target, lambdaapi.KinesisOptions{}), options)
	case function == "api" || function == "":
		lambdaapi.Start(lambdaapi.HTTP(handler(db), lambdaapi.HTTPOptions{}), options)
	default:
		return fmt.Errorf("FUNCTION is %q; it is to be api or projector", function)
	}
	return nil
}

// serve serves the same handler until it is interrupted.
func serve(ctx context.Context, db *database) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", cmp.Or(os.Getenv("LISTEN"), "localhost:8080"))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	defer func() { _ = db.close(context.WithoutCancel(ctx)) }()
	return httpapi.Serve(ctx, listener, handler(db), httpapi.ServerOptions{
		Checks: map[string]httpapi.Check{"database": db.PingContext},
	})
}
