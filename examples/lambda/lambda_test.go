//go:build unix

package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/internal/awstest/lambdaruntime"
)

// function starts the built binary as a Lambda function.
func function(t *testing.T, env ...string) *lambdaruntime.Function {
	t.Helper()
	f, err := lambdaruntime.Start(t.Context(), lambdaruntime.Options{Binary: program.Path(t), Env: append(env, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x")})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

// The README's requests, as an API Gateway hands them over, on both stores.
func TestTheREADMEIsTrueOfALambdaFunction(t *testing.T) {
	for name, database := range map[string]func() string{
		"SQLite":   func() string { return t.TempDir() + "/lambda.db" },
		"Postgres": func() string { return postgrestest.Pool(t).Config().ConnString() },
	} {
		t.Run(name, func(t *testing.T) {
			f := function(t, "FUNCTION=api", "DATABASE="+database())
			for _, s := range readme(t) {
				assert.Equal(t, anyStore(s.prints), anyStore(ask(t, f, requestOf(t, s.command))), s.command)
			}
			require.NoError(t, f.Terminate())
			require.NoError(t, f.Wait(t.Context()), "it closes its stores and ends with 0: %s", f.Output())
		})
	}
}

var curl = regexp.MustCompile(`^curl -sS "?localhost:8080([^ "?]*)\??([^ "]*)"?(?: -H 'Idempotency-Key: ([^']*)')?(?: --json '(.*)')?$`)

// requestOf makes of a curl what an API Gateway makes of its request.
func requestOf(t *testing.T, command string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	parts := curl.FindStringSubmatch(command)
	require.NotNil(t, parts, command)
	event := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: parts[1], RawQueryString: parts[2], Headers: map[string]string{"host": "shop.example"}}
	event.RequestContext.Stage, event.RequestContext.HTTP.Method = "$default", http.MethodGet
	if parts[3] != "" {
		event.Headers["idempotency-key"] = parts[3]
	}
	if parts[4] != "" {
		event.RequestContext.HTTP.Method, event.Headers["content-type"] = http.MethodPost, "application/json"
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(parts[4])), true
	}
	return event
}

// ask returns the body of the answer.
func ask(t *testing.T, f *lambdaruntime.Function, event events.APIGatewayV2HTTPRequest) string {
	t.Helper()
	var answer events.APIGatewayV2HTTPResponse
	require.NoError(t, json.Unmarshal([]byte(invoke(t, f, event)), &answer))
	require.False(t, answer.IsBase64Encoded)
	return strings.TrimSpace(answer.Body)
}

func invoke(t *testing.T, f *lambdaruntime.Function, event any) string {
	t.Helper()
	encoded, err := json.Marshal(event)
	require.NoError(t, err)
	answer, err := f.Invoke(t.Context(), encoded)
	require.NoError(t, err)
	require.False(t, answer.Failed, "%s", answer.Payload)
	return string(answer.Payload)
}

// shard is what the projector asks of Kinesis: its records, each with its place as sequence number.
type shard []string

func (s shard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ShardIteratorType, StartingSequenceNumber, ShardIterator string
		Limit                                                    int
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	begin, _ := strconv.Atoi(in.StartingSequenceNumber)
	if in.ShardIteratorType == "AT_SEQUENCE_NUMBER" {
		begin--
	}
	answer := map[string]any{"ShardIterator": strconv.Itoa(begin) + "!"}
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRecords") {
		from, _ := strconv.Atoi(strings.TrimSuffix(in.ShardIterator, "!"))
		to := min(len(s), from+in.Limit)
		records := []map[string]any{}
		for n := from; n < to; n++ {
			records = append(records, map[string]any{"SequenceNumber": strconv.Itoa(n + 1), "Data": []byte(s[n]), "PartitionKey": "x"})
		}
		answer = map[string]any{"Records": records, "NextShardIterator": strconv.Itoa(to) + "!"}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	encoded, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(encoded)
}

// event returns the batch of the records with these sequence numbers.
func (s shard) event(first, last int) (event events.KinesisEvent) {
	for n := first; n <= last; n++ {
		event.Records = append(event.Records, events.KinesisEventRecord{
			EventID: "shardId-000000000000:" + strconv.Itoa(n), EventSourceArn: "arn:aws:kinesis:eu-west-1:123456789012:stream/sales",
			Kinesis: events.KinesisRecord{SequenceNumber: strconv.Itoa(n), PartitionKey: "x", Data: []byte(s[n-1])},
		})
	}
	return event
}

// The projector as a real binary: a poison record, batches that come again, kill -9, a gap, and SIGTERM.
func TestTheProjectorCountsEachRecordOnce(t *testing.T) {
	for name, database := range map[string]func() string{
		"SQLite":   func() string { return t.TempDir() + "/lambda.db" },
		"Postgres": func() string { return postgrestest.Pool(t).Config().ConnString() },
	} {
		t.Run(name, func(t *testing.T) {
			mug := `{"item":"mug","quantity":1}`
			records := shard{mug, mug, mug, `{"item":"mug","quantity":"two"}`, mug, mug, mug}
			stream := httptest.NewServer(records)
			t.Cleanup(stream.Close)
			at := "DATABASE=" + database()
			env := []string{"FUNCTION=projector", at, "AWS_ENDPOINT_URL_KINESIS=" + stream.URL}
			api, projector := function(t, "FUNCTION=api", at), function(t, env...)
			sold := func() string {
				return ask(t, api, requestOf(t, `curl -sS "localhost:8080/queries/item.sold?item=mug"`))
			}

			for range 3 {
				assert.JSONEq(t, `{"batchItemFailures":[{"itemIdentifier":"4"}]}`, invoke(t, projector, records.event(1, 6)), "the poison record, and no other")
				assert.JSONEq(t, `{"item":"mug","quantity":3}`, sold(), "what stands before it, once")
			}
			projector.Kill()
			require.Error(t, projector.Wait(t.Context()))
			records[3] = mug // mended
			projector = function(t, env...)
			for range 2 {
				assert.JSONEq(t, `{"batchItemFailures":[]}`, invoke(t, projector, records.event(1, 5)))
				assert.JSONEq(t, `{"item":"mug","quantity":5}`, sold())
			}

			encoded, err := json.Marshal(records.event(7, 7)) // 6 is left out
			require.NoError(t, err)
			answer, err := projector.Invoke(t.Context(), encoded)
			require.NoError(t, err)
			assert.True(t, answer.Failed)
			assert.Contains(t, string(answer.Payload), "records are missing between the checkpoint and this batch")
			assert.JSONEq(t, `{"item":"mug","quantity":5}`, sold())

			require.NoError(t, projector.Terminate())
			require.NoError(t, projector.Wait(t.Context()), "%s", projector.Output())
		})
	}
}

// As deploy/cloudformation/serverless.yaml sets it up: Postgres by PG…, and its user by a secret.
func TestAFunctionFindsPostgresAndItsSecretAsTheTemplateSays(t *testing.T) {
	at := postgrestest.Pool(t).Config().ConnConfig
	asked := make(chan string, 1)
	secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SecretID string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		asked <- r.Header.Get("X-Amz-Target") + " " + in.SecretID
		secret, err := json.Marshal(map[string]string{"username": at.User, "password": at.Password})
		assert.NoError(t, err)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": string(secret)})
	}))
	t.Cleanup(secrets.Close)
	f := function(t, "FUNCTION=api", "DATABASE=", "PGHOST="+at.Host, "PGPORT="+strconv.Itoa(int(at.Port)), "PGDATABASE="+at.Database, "PGSSLMODE=disable",
		"PGUSER=nobody", "DATABASE_SECRET_ARN=arn:secret", "AWS_ENDPOINT_URL_SECRETS_MANAGER="+secrets.URL)
	placed := ask(t, f, requestOf(t, `curl -sS localhost:8080/commands/order.place --json '{"order":"42","item":"mug","quantity":2}'`))
	assert.Contains(t, placed, `"order-42":1`)
	assert.Equal(t, "secretsmanager.GetSecretValue arn:secret", <-asked)
}

func TestASecretThatIsNoneIsNotShown(t *testing.T) {
	secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(`{"SecretString":"hunter2"}`))
	}))
	t.Cleanup(secrets.Close)
	f := function(t, "FUNCTION=api", "DATABASE=", "PGHOST=127.0.0.1", "DATABASE_SECRET_ARN=arn:secret", "AWS_ENDPOINT_URL_SECRETS_MANAGER="+secrets.URL)
	_, err := f.Invoke(t.Context(), []byte(`{}`))
	require.ErrorContains(t, err, "secret arn:secret is not JSON with username and password")
	assert.NotContains(t, f.Output(), "hunter2")
}

func TestAFunctionThatIsNoneSaysSo(t *testing.T) {
	f := function(t, "FUNCTION=other", "DATABASE="+t.TempDir()+"/lambda.db")
	_, err := f.Invoke(t.Context(), []byte(`{}`))
	require.ErrorIs(t, err, lambdaruntime.ErrExited)
	require.ErrorContains(t, err, `FUNCTION is "other"; it is to be api or projector`)
}
