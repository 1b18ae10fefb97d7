// Package cloudmap finds the instances of a service by DiscoverInstances of AWS Cloud Map, which
// knows their health, ports and attributes, and answers at once where DNS has a TTL.
//
// An answer has the healthy instances; if none of a service is healthy, all of them, because then
// it is more likely that the check is wrong. Health changes without a new revision of the
// service, so every answer is a full one: put [discovery.NewCached] around it, and Cloud Map is
// asked once for each TTL.
package cloudmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// API is what is needed of [servicediscovery.Client].
type API interface {
	DiscoverInstances(ctx context.Context, in *servicediscovery.DiscoverInstancesInput, options ...func(*servicediscovery.Options)) (*servicediscovery.DiscoverInstancesOutput, error)
}

// Resolver is a [discovery.Resolver] that asks Cloud Map.
//
// An instance is where its attributes say: AWS_INSTANCE_IPV4, else AWS_INSTANCE_IPV6, else
// AWS_INSTANCE_CNAME, and AWS_INSTANCE_PORT. One that has none of them, such as an alias, is passed
// over; when no instance has one, that is an error.
type Resolver struct {
	API       API
	Namespace string // its HttpName, which is its name unless that was used before

	// Scheme is that of the endpoints. Default: "http".
	Scheme string

	// Port is that of instances without AWS_INSTANCE_PORT. Default: the scheme's.
	Port uint16

	// Attributes, if there are any, are those that an instance must have.
	Attributes map[string]string
}

// maxInstances is the most that one answer has. There are no further pages.
const maxInstances = 100

// Resolve asks for the instances of the service.
func (r Resolver) Resolve(ctx context.Context, service string) ([]discovery.Endpoint, error) {
	out, err := r.API.DiscoverInstances(ctx, &servicediscovery.DiscoverInstancesInput{
		NamespaceName:   aws.String(r.Namespace),
		ServiceName:     aws.String(service),
		HealthStatus:    types.HealthStatusFilterHealthyOrElseAll,
		MaxResults:      aws.Int32(maxInstances),
		QueryParameters: r.Attributes,
	})
	if err != nil {
		return nil, named(service, err)
	}
	endpoints := make([]discovery.Endpoint, 0, len(out.Instances))
	var nowhere error
	for _, instance := range out.Instances {
		e, err := r.endpoint(service, instance)
		if err != nil {
			nowhere = err
			continue
		}
		endpoints = append(endpoints, e)
	}
	if len(endpoints) == 0 {
		return nil, nowhere
	}
	return endpoints, nil
}

func named(service string, err error) error {
	_, noService := errors.AsType[*types.ServiceNotFound](err)
	_, noNamespace := errors.AsType[*types.NamespaceNotFound](err)
	if noService || noNamespace {
		return fmt.Errorf("%w: %q: %w", discovery.ErrUnknownService, service, err)
	}
	return err
}

func (r Resolver) endpoint(service string, instance types.HttpInstanceSummary) (discovery.Endpoint, error) {
	e := discovery.Endpoint{ID: aws.ToString(instance.InstanceId), Scheme: r.Scheme, Port: r.Port}
	attributes := instance.Attributes
	for _, attribute := range []string{"AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6", "AWS_INSTANCE_CNAME"} {
		if e.Host == "" {
			e.Host = attributes[attribute]
		}
	}
	if e.Host == "" {
		return e, fmt.Errorf("instance %s of service %s has no AWS_INSTANCE_IPV4, _IPV6 or _CNAME: register it with one, or name it to discovery.NewStatic", e.ID, service)
	}
	if _, err := netip.ParseAddr(e.Host); err == nil {
		e.Authority = service + "." + r.Namespace
	}
	if text, there := attributes["AWS_INSTANCE_PORT"]; there {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return e, fmt.Errorf("instance %s of service %s: AWS_INSTANCE_PORT %q is no port", e.ID, service, text)
		}
		e.Port = uint16(port)
	}
	return e, nil
}
