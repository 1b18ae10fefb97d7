package deploy_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// What the template tells workers to do is run as it stands there, but for the port, and asked for its health as
// ECS does.
func TestTheWorkerOfTheTemplateIsAVerbOfTheCommandLine(t *testing.T) {
	t.Parallel()
	tmpl := load(t, "container")
	command, ok := at(tmpl, "Parameters", "WorkerCommand", "Default").(string)
	require.True(t, ok)
	var asked string
	for _, task := range tmpl.every("AWS::ECS::TaskDefinition") {
		c := task.property("ContainerDefinitions", 0)
		if at(c, "Command", "Ref") == "WorkerCommand" {
			asked, _ = at(c, "HealthCheck", "Command", 2).(string)
		}
	}
	require.NotEmpty(t, asked, "no task runs WorkerCommand")
	code, said, err := work(t, command, asked)
	require.NoError(t, err)
	require.Equal(t, cli.ExitOK, code, said)

	code, said, err = work(t, strings.Replace(command, "work", "worker", 1), asked)
	require.Error(t, err, "the planted mistake was not found")
	require.Equal(t, cli.ExitUsage, code, said)
	_, said, err = work(t, strings.Replace(command, "listen", "port", 1), asked)
	require.Error(t, err, "the planted mistake was not found")
	require.Contains(t, said, "unknown flag: --port")
}

// work runs a command of the template for the smallest app until it is healthy, and stops it.
func work(t *testing.T, command, asked string) (code int, said string, err error) {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	asked = strings.Replace(asked, "127.0.0.1:8080", address, 1)
	ctx, stop := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code = cli.Run(ctx, cli.Command(smallest), strings.Split(strings.Replace(command, ":8080", address, 1), ","), &stderr, &stderr)
		stop()
	}()
	err = healthy(ctx, asked)
	stop()
	<-ended
	return code, stderr.String(), err
}

// healthy waits until somebody answers as a healthy one does, or ctx has ended.
func healthy(ctx context.Context, url string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

type noted struct{}

type note struct {
	ID    string `leftfold:"key"`
	Times int64
}

var smallest = cli.App{Name: "notes", Open: func(context.Context) (cli.Parts, error) {
	events, err := codec.NewSet(codec.Event[noted]("note.noted"))
	notes := projection.NewView("notes", projection.ViewOptions{Version: 1},
		projection.When(func(n *note, _ noted, _ eventstore.Recorded) { n.Times++ }))
	return cli.Parts{Projections: []projection.Worker{{
		Log: memory.NewStore(), Events: events, Tasks: []projection.Task{projection.Into(memory.NewSink(), notes)},
	}}}, err
}}
