//go:build unix

package lambdaapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/lambdaapi"
	"github.com/leftfold/leftfold/internal/awstest/lambdaruntime"
)

// startInstead makes the test binary a Lambda function.
const startInstead = "LEFTFOLD_TEST_LAMBDA"

func TestMain(m *testing.M) {
	if how := os.Getenv(startInstead); how != "" {
		lambdaapi.Start(held, lambdaapi.StartOptions{Stop: func(ctx context.Context) error {
			if how == "slowly" {
				<-ctx.Done()
				return ctx.Err()
			}
			fmt.Println("closed")
			return nil
		}})
	}
	os.Exit(m.Run())
}

// held is a function that ends as its event says.
func held(ctx context.Context, how string) (string, error) {
	fmt.Println("came")
	switch how {
	case "on a line":
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return "done", err
	case "with its context":
		<-ctx.Done()
		return "cut off", nil
	case "badly":
		return "", errors.New("it fails")
	case "panic":
		panic("it panics")
	}
	return how, nil
}

func start(t *testing.T, stdin *os.File) *lambdaruntime.Function {
	t.Helper()
	return startAs(t, "1", stdin)
}

func startAs(t *testing.T, how string, stdin *os.File) *lambdaruntime.Function {
	t.Helper()
	f, err := lambdaruntime.Start(t.Context(), lambdaruntime.Options{Binary: os.Args[0], Env: []string{startInstead + "=" + how}, Stdin: stdin})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

// invoke gives an event and returns the answer once the function has ended with it.
func invoke(t *testing.T, f *lambdaruntime.Function, how string) (answer func() (lambdaruntime.Answer, error)) {
	t.Helper()
	var a lambdaruntime.Answer
	var err error
	var invoking sync.WaitGroup
	invoking.Go(func() { a, err = f.Invoke(t.Context(), []byte(`"`+how+`"`)) })
	return func() (lambdaruntime.Answer, error) {
		invoking.Wait()
		return a, err
	}
}

func says(t *testing.T, f *lambdaruntime.Function, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(f.Output(), text) }, 20*time.Second, time.Millisecond, "it says %q", text)
}

func TestSIGTERMWaitsForTheAnswerUnderWay(t *testing.T) {
	t.Parallel()
	in, line, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	defer line.Close()
	f := start(t, in)
	answer := invoke(t, f, "on a line")
	says(t, f, "came")
	require.NoError(t, f.Terminate())
	says(t, f, "stopping")
	assert.NotContains(t, f.Output(), "closed")
	_, err = line.WriteString("\n")
	require.NoError(t, err)
	a, err := answer()
	require.NoError(t, err)
	assert.Equal(t, lambdaruntime.Answer{Payload: []byte(`"done"`)}, a)
	require.NoError(t, f.Wait(t.Context()), "status 0")
	assert.Contains(t, f.Output(), "closed")
}

func TestSIGTERMEndsTheContextOfWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	answer := invoke(t, f, "with its context")
	says(t, f, "came")
	require.NoError(t, f.Terminate())
	a, err := answer()
	require.NoError(t, err)
	assert.Equal(t, `"cut off"`, string(a.Payload))
	require.NoError(t, f.Wait(t.Context()))
}

func TestAFunctionThatFailsLivesOnAndOneThatPanicsDoesNot(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, err := f.Invoke(t.Context(), []byte(`"badly"`))
	require.NoError(t, err)
	assert.True(t, a.Failed)
	assert.Contains(t, string(a.Payload), "it fails")
	a, err = f.Invoke(t.Context(), []byte(`"well"`))
	require.NoError(t, err)
	assert.Equal(t, lambdaruntime.Answer{Payload: []byte(`"well"`)}, a)
	a, err = f.Invoke(t.Context(), []byte(`"panic"`))
	require.NoError(t, err)
	assert.True(t, a.Failed)
	require.Error(t, f.Wait(t.Context()))
	_, err = f.Invoke(t.Context(), []byte(`"well"`))
	require.ErrorIs(t, err, lambdaruntime.ErrExited)
}

func TestSIGTERMEndsAnIdleFunction(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	_, err := f.Invoke(t.Context(), []byte(`"well"`))
	require.NoError(t, err)
	require.NoError(t, f.Terminate(), "no invocation is under way")
	require.NoError(t, f.Wait(t.Context()))
	assert.Contains(t, f.Output(), "closed")
}

// Whoever closes a pool waits for its connections; Lambda does not wait for that.
func TestTheContextOfStopEndsBeforeLambdaKills(t *testing.T) {
	t.Parallel()
	f := startAs(t, "slowly", nil)
	_, err := f.Invoke(t.Context(), []byte(`"well"`))
	require.NoError(t, err)
	require.NoError(t, f.Terminate())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = f.Wait(ctx)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "it would wait for ever")
	require.ErrorContains(t, err, "exit status 1")
	assert.Contains(t, f.Output(), "the end was not orderly")
}
