//go:build unix

package lambdaruntime_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest/lambdaruntime"
)

// instead makes the test binary a program that speaks to the Runtime API by itself: no library of AWS's hides
// what the API does.
const instead = "LEFTFOLD_TEST_RUNTIME"

func TestMain(m *testing.M) {
	if how := os.Getenv(instead); how != "" {
		if err := program(how, "http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const invocations = "/2018-06-01/runtime/invocation/"

// program answers events with themselves, or does what the event says.
func program(how, api string) error {
	switch how {
	case "cannot start":
		_, _, err := call(api+"/2018-06-01/runtime/init/error", `{"errorMessage":"no database"}`)
		return err
	case "an extension":
		if _, _, err := call(api+"/2020-01-01/extension/register", `{"events":[]}`); err != nil {
			return err
		}
	}
	for {
		event, header, err := call(api+invocations+"next", "")
		if err != nil {
			return err
		}
		answer, path := event, "/response"
		switch event {
		case `"hang"`:
			select {}
		case `"exit"`:
			return nil
		case `"fail"`:
			answer, path = `{"errorMessage":"it fails"}`, "/error"
		case `"much"`:
			answer = strings.Repeat("x", 6<<20+1)
		case `"deadline"`:
			answer = header.Get("Lambda-Runtime-Deadline-Ms")
		case `"twice"`:
			if _, _, err := call(api+invocations+header.Get("Lambda-Runtime-Aws-Request-Id")+path, `"first"`); err != nil {
				return err
			}
			answer = `"second"`
		}
		if _, _, err := call(api+invocations+header.Get("Lambda-Runtime-Aws-Request-Id")+path, answer); err != nil {
			fmt.Println(err)
		}
	}
}

// call asks with GET if there is no body, and returns what is answered.
func call(url, body string) (string, http.Header, error) {
	method, reader := http.MethodPost, io.Reader(strings.NewReader(body))
	if body == "" {
		method, reader = http.MethodGet, http.NoBody
	}
	request, err := http.NewRequestWithContext(context.Background(), method, url, reader)
	if err != nil {
		return "", nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil {
		return "", nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return "", nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return answer.String(), response.Header, nil
}

func start(t *testing.T, how string, timeout time.Duration) *lambdaruntime.Function {
	t.Helper()
	f, err := lambdaruntime.Start(t.Context(), lambdaruntime.Options{Binary: os.Args[0], Env: []string{instead + "=" + how}, Timeout: timeout})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

func TestAnEventGoesInAndItsAnswerComesOut(t *testing.T) {
	t.Parallel()
	f := start(t, "answers", 0)
	for _, event := range []string{`{"n":1}`, `{"n":2}`} {
		answer, err := f.Invoke(t.Context(), []byte(event))
		require.NoError(t, err)
		assert.Equal(t, lambdaruntime.Answer{Payload: []byte(event)}, answer)
	}
	answer, err := f.Invoke(t.Context(), []byte(`"fail"`))
	require.NoError(t, err)
	assert.Equal(t, lambdaruntime.Answer{Payload: []byte(`{"errorMessage":"it fails"}`), Failed: true}, answer)
}

func TestInvocationsWaitForTheirTurnAndEachGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	f := start(t, "answers", 0)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			event := fmt.Sprintf(`{"n":%d}`, n)
			answer, err := f.Invoke(t.Context(), []byte(event))
			if assert.NoError(t, err) {
				assert.Equal(t, event, string(answer.Payload))
			}
		})
	}
	all.Wait()
}

func TestAnAnswerIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := start(t, "answers", 0)
	answer, err := f.Invoke(t.Context(), []byte(`"twice"`))
	require.NoError(t, err)
	assert.Equal(t, `"first"`, string(answer.Payload))
	_, err = f.Invoke(t.Context(), []byte(`1`))
	require.NoError(t, err)
	assert.Contains(t, f.Output(), "status 400")
}

func TestAnAnswerOfMoreThan6MBIsAFailure(t *testing.T) {
	t.Parallel()
	answer, err := start(t, "answers", 0).Invoke(t.Context(), []byte(`"much"`))
	require.NoError(t, err)
	assert.True(t, answer.Failed)
	assert.Contains(t, string(answer.Payload), "Function.ResponseSizeTooLarge")
}

func TestAProgramIsToldItsDeadlineAndKilledAtIt(t *testing.T) {
	t.Parallel()
	before := time.Now()
	answer, err := start(t, "answers", time.Minute).Invoke(t.Context(), []byte(`"deadline"`))
	require.NoError(t, err)
	var ms int64
	_, err = fmt.Sscan(string(answer.Payload), &ms)
	require.NoError(t, err)
	assert.True(t, !time.UnixMilli(ms).Before(before.Add(time.Minute).Truncate(time.Millisecond)) && time.UnixMilli(ms).Before(time.Now().Add(time.Minute)))

	f := start(t, "answers", 2*time.Second) // it has to come up in
	_, err = f.Invoke(t.Context(), []byte(`"hang"`))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, f.Wait(t.Context()), "killed")
}

func TestAProgramThatEndsSaysHow(t *testing.T) {
	t.Parallel()
	f := start(t, "answers", 0)
	_, err := f.Invoke(t.Context(), []byte(`"exit"`))
	require.ErrorIs(t, err, lambdaruntime.ErrExited)
	require.ErrorContains(t, err, "with status 0")
	f = start(t, "cannot start", 0)
	_, err = f.Invoke(t.Context(), []byte(`1`))
	require.ErrorIs(t, err, lambdaruntime.ErrExited)
	require.ErrorContains(t, err, "no database")
	_, err = lambdaruntime.Start(t.Context(), lambdaruntime.Options{Binary: "/there/is/none"})
	require.ErrorContains(t, err, "start the function")
}

func TestSIGTERMIsForThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	f := start(t, "answers", 0)
	_, err := f.Invoke(t.Context(), []byte(`1`))
	require.NoError(t, err)
	require.ErrorContains(t, f.Terminate(), "not registered")
	f = start(t, "an extension", 0)
	_, err = f.Invoke(t.Context(), []byte(`1`))
	require.NoError(t, err)
	require.NoError(t, f.Terminate())
	require.ErrorContains(t, f.Wait(t.Context()), "terminated")
}
