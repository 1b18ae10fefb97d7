package cloudmap_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/discovery/cloudmap"
)

// client is the real one. Its name of the server, which begins with "data-", leads to the fake.
func (c *cloudMap) client(t testing.TB, attempts int) *servicediscovery.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, c.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return servicediscovery.New(servicediscovery.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://servicediscovery.test"), HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
}

func at(id, health, ip, port string) instance {
	return instance{id, health, map[string]string{"AWS_INSTANCE_IPV4": ip, "AWS_INSTANCE_PORT": port}}
}

func TestHealthyInstancesAreEndpoints(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, map[string][]instance{"prod/orders": {
		at("i-1", "HEALTHY", "10.0.0.1", "8080"), at("i-2", "UNHEALTHY", "10.0.0.2", "8080"), at("i-3", "UNKNOWN", "10.0.0.3", "8081"),
	}})
	endpoints, err := cloudmap.Resolver{API: server.client(t, 1), Namespace: "prod"}.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	assert.Equal(t, []discovery.Endpoint{
		{ID: "i-1", Host: "10.0.0.1", Port: 8080, Authority: "orders.prod"},
		{ID: "i-3", Host: "10.0.0.3", Port: 8081, Authority: "orders.prod"},
	}, endpoints)
	assert.Equal(t, []input{{NamespaceName: "prod", ServiceName: "orders", HealthStatus: "HEALTHY_OR_ELSE_ALL", MaxResults: 100}}, server.asked)
}

func TestWhenNoneIsHealthyAllAreEndpoints(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, map[string][]instance{"prod/orders": {at("i-1", "UNHEALTHY", "10.0.0.1", "1"), at("i-2", "UNHEALTHY", "10.0.0.2", "1")}})
	endpoints, err := cloudmap.Resolver{API: server.client(t, 1), Namespace: "prod"}.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	assert.Len(t, endpoints, 2)
}

func TestWhereInstancesAreIsInTheirAttributes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		attributes map[string]string
		want       discovery.Endpoint // none: an error
		says       string
	}{
		{"IPv4 before IPv6", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_IPV6": "fd12::1", "AWS_INSTANCE_PORT": "80"}, discovery.Endpoint{Host: "10.0.0.1", Port: 80, Authority: "orders.prod"}, ""},
		{"IPv6", map[string]string{"AWS_INSTANCE_IPV6": "fd12::1", "AWS_INSTANCE_PORT": "80"}, discovery.Endpoint{Host: "fd12::1", Port: 80, Authority: "orders.prod"}, ""},
		{"CNAME, whose name is the authority", map[string]string{"AWS_INSTANCE_CNAME": "db.example.com"}, discovery.Endpoint{Host: "db.example.com", Port: 8443}, ""},
		{"no port", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1"}, discovery.Endpoint{Host: "10.0.0.1", Port: 8443, Authority: "orders.prod"}, ""},
		{"a port that is none", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "0"}, discovery.Endpoint{}, `AWS_INSTANCE_PORT "0" is no port`},
		{"nowhere", map[string]string{"AWS_ALIAS_DNS_NAME": "lb.example.com"}, discovery.Endpoint{}, "has no AWS_INSTANCE_IPV4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newCloudMap(t, map[string][]instance{"prod/orders": {{"i-1", "HEALTHY", c.attributes}}})
			r := cloudmap.Resolver{API: server.client(t, 1), Namespace: "prod", Scheme: "https", Port: 8443}
			endpoints, err := r.Resolve(t.Context(), "orders")
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			c.want.ID, c.want.Scheme = "i-1", "https"
			assert.Equal(t, []discovery.Endpoint{c.want}, endpoints)
		})
	}
}

// One instance that is registered badly takes none of the others away.
func TestAnInstanceThatIsNowhereIsPassedOver(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, map[string][]instance{
		"prod/orders": {{"i-0", "HEALTHY", nil}, at("i-1", "HEALTHY", "10.0.0.1", "80")},
		"prod/none":   {},
	})
	r := cloudmap.Resolver{API: server.client(t, 1), Namespace: "prod"}
	endpoints, err := r.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	assert.Len(t, endpoints, 1)
	endpoints, err = r.Resolve(t.Context(), "none")
	require.NoError(t, err)
	assert.Empty(t, endpoints)
}

func TestInstancesAreChosenByAttributes(t *testing.T) {
	t.Parallel()
	blue := at("i-1", "HEALTHY", "10.0.0.1", "80")
	blue.attributes["colour"] = "blue"
	server := newCloudMap(t, map[string][]instance{"prod/orders": {blue, at("i-2", "HEALTHY", "10.0.0.2", "80")}})
	r := cloudmap.Resolver{API: server.client(t, 1), Namespace: "prod", Attributes: map[string]string{"colour": "blue"}}
	endpoints, err := r.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	require.Len(t, endpoints, 1)
	assert.Equal(t, "i-1", endpoints[0].ID)
}

func TestAServiceThatCloudMapDoesNotKnowIsUnknown(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, map[string][]instance{"prod/orders": {}})
	for namespace, name := range map[string]string{"prod": "payments", "test": "orders"} {
		_, err := cloudmap.Resolver{API: server.client(t, 1), Namespace: namespace}.Resolve(t.Context(), name)
		require.ErrorIs(t, err, discovery.ErrUnknownService)
	}
}

// The SDK tries again; what it gives up on is no answer, and a cache goes on with the last one.
func TestThrottlingIsNoAnswer(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, map[string][]instance{"prod/orders": {at("i-1", "HEALTHY", "10.0.0.1", "80")}})
	server.throttle = 2
	r := cloudmap.Resolver{API: server.client(t, 3), Namespace: "prod"}
	endpoints, err := r.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	assert.Len(t, endpoints, 1)
	assert.Len(t, server.asked, 3)

	found := discovery.NewCached(r, discovery.CachedOptions{TTL: time.Nanosecond, Negative: time.Nanosecond})
	defer found.Close()
	_, err = found.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	server.throttle = 1 << 20
	_, err = r.Resolve(t.Context(), "orders")
	require.ErrorContains(t, err, "RequestLimitExceeded")
	require.NotErrorIs(t, err, discovery.ErrUnknownService)
	endpoints, err = found.Resolve(t.Context(), "orders")
	require.NoError(t, err)
	assert.Len(t, endpoints, 1)
}

func TestTheCallersContextEndsACall(t *testing.T) {
	t.Parallel()
	server := newCloudMap(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_, err := cloudmap.Resolver{API: server.client(t, 3), Namespace: "prod"}.Resolve(ctx, "orders")
	require.ErrorIs(t, err, context.Canceled)
}

// instances is an API; a real one is servicediscovery.NewFromConfig(cfg).
type instances []string

func ExampleResolver() {
	found := discovery.NewCached(cloudmap.Resolver{API: instances{"10.0.0.1", "10.0.0.2"}, Namespace: "prod"}, discovery.CachedOptions{})
	defer found.Close()
	endpoints, err := found.Resolve(context.Background(), "orders")
	for _, e := range endpoints {
		fmt.Println(e.Host, e.Port, e.Authority)
	}
	fmt.Println(err)
	// Output:
	// 10.0.0.1 8080 orders.prod
	// 10.0.0.2 8080 orders.prod
	// <nil>
}

func (i instances) DiscoverInstances(context.Context, *servicediscovery.DiscoverInstancesInput, ...func(*servicediscovery.Options)) (*servicediscovery.DiscoverInstancesOutput, error) {
	out := &servicediscovery.DiscoverInstancesOutput{}
	for _, ip := range i {
		out.Instances = append(out.Instances, types.HttpInstanceSummary{Attributes: map[string]string{"AWS_INSTANCE_IPV4": ip, "AWS_INSTANCE_PORT": "8080"}})
	}
	return out, nil
}
