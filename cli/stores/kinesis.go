package stores

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leftfold/leftfold/cli"
)

// Kinesis is what a URL of a stream says: kinesis://STREAM?index=URL&region=NAME&endpoint=URL.
type Kinesis struct {
	// Stream is the name of the stream. Never "".
	Stream string
	// Index is the URL of the store that the stream's index is in, sqlite:FILE or postgres://…; "": the URL names
	// none, and so no store. It may hold a password.
	Index string
	// Region and Endpoint are "" where they are left to the environment, see [AWS].
	Region, Endpoint string
}

// IsKinesis reports whether a URL is that of a stream of Kinesis.
func IsKinesis(at string) bool { return strings.HasPrefix(at, "kinesis:") }

// ParseKinesis reads the URL of a stream. What is wrong with it is a [cli.UsageError], without the URL: the one of the
// index may hold a password.
func ParseKinesis(at string) (Kinesis, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "kinesis" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.Opaque != "" || !isStream(u.Host) {
		return Kinesis{}, malformed("want kinesis://STREAM")
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Kinesis{}, malformed("its parameters cannot be read; those of the index's URL are percent-encoded: index=postgres%%3A%%2F%%2F…")
	}
	k := Kinesis{Stream: u.Host}
	for name, values := range parameters {
		into, known := map[string]*string{"index": &k.Index, "region": &k.Region, "endpoint": &k.Endpoint}[name]
		if !known {
			return Kinesis{}, malformed("unknown parameter %s: want index, region and endpoint; the parameters of the index's own URL are percent-encoded: %%3Fschema%%3DNAME", name)
		}
		if len(values) > 1 {
			return Kinesis{}, malformed("it has %s twice", name)
		}
		*into = values[0]
	}
	if _, isFile := SQLiteFile(k.Index); k.Index != "" && !isFile && !IsPostgres(k.Index) {
		return Kinesis{}, malformed("its index is neither sqlite:FILE nor postgres://…, percent-encoded")
	}
	if e, err := url.Parse(k.Endpoint); k.Endpoint != "" && (err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https") {
		return Kinesis{}, malformed("its endpoint is no http:// or https:// URL")
	}
	return k, nil
}

func malformed(format string, args ...any) error {
	return cli.Usagef("the URL of the Kinesis stream is wrong: "+format, args...)
}

// isStream holds a name against what Kinesis allows.
func isStream(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	return name != "" && len(name) <= 128 && strings.Trim(name, allowed) == ""
}

// Client returns a client of Kinesis for the stream.
func (k Kinesis) Client(ctx context.Context) (*kinesis.Client, error) {
	all, err := AWS(ctx, k.Region, k.Endpoint)
	if err != nil {
		return nil, err
	}
	return kinesis.NewFromConfig(all), nil
}

// AWS returns what clients of AWS are made from. Credentials are found the way every tool of AWS does: in the
// environment, in the profiles of ~/.aws, from single sign-on, and from the container or the machine that it runs on. So
// are the region and the endpoint, unless they are given here. Nobody is asked before the first call of a client.
//
// Without any region it is a [cli.UsageError].
func AWS(ctx context.Context, region, endpoint string) (aws.Config, error) {
	all, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	switch {
	case err != nil:
		return all, fmt.Errorf("the configuration of AWS: %w", err)
	case all.Region == "":
		return all, &cli.UsageError{Err: errors.New("say which region of AWS: region=NAME in the URL, AWS_REGION, or a profile")}
	case endpoint != "":
		all.BaseEndpoint = &endpoint
	}
	return all, nil
}
