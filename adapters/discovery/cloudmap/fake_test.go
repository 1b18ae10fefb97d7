package cloudmap_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// cloudMap is a Cloud Map that speaks its protocol (awsJson1_1) on loopback.
type cloudMap struct {
	*httptest.Server

	mu       sync.Mutex
	services map[string][]instance // by "namespace/service"
	asked    []input
	throttle int // so many answers more are a refusal
}

type instance struct {
	id         string
	health     string // "HEALTHY", "UNHEALTHY", "UNKNOWN"
	attributes map[string]string
}

type input struct {
	NamespaceName, ServiceName, HealthStatus string
	MaxResults                               int
	QueryParameters                          map[string]string
}

func newCloudMap(t testing.TB, services map[string][]instance) *cloudMap {
	c := &cloudMap{services: services}
	c.Server = httptest.NewServer(http.HandlerFunc(c.discover))
	t.Cleanup(c.Close)
	return c
}

func (c *cloudMap) discover(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var in input
	signed := strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/")
	if r.Method != http.MethodPost || r.Header.Get("X-Amz-Target") != "Route53AutoNaming_v20170314.DiscoverInstances" || !signed || json.NewDecoder(r.Body).Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, "InvalidInput")
		return
	}
	c.asked = append(c.asked, in)
	namespace := false
	for name := range c.services {
		namespace = namespace || strings.HasPrefix(name, in.NamespaceName+"/")
	}
	instances, there := c.services[in.NamespaceName+"/"+in.ServiceName]
	switch {
	case c.throttle > 0:
		c.throttle--
		refuse(w, http.StatusBadRequest, "RequestLimitExceeded")
	case !namespace:
		refuse(w, http.StatusBadRequest, "NamespaceNotFound")
	case !there:
		refuse(w, http.StatusBadRequest, "ServiceNotFound")
	default:
		answer(w, in, chosen(instances, in))
	}
}

// chosen is what the health and the parameters of a question leave.
func chosen(instances []instance, in input) []instance {
	var healthy, all []instance
	for _, i := range instances {
		fits := true
		for name, value := range in.QueryParameters {
			fits = fits && i.attributes[name] == value
		}
		if fits {
			all = append(all, i)
		}
		if fits && i.health != "UNHEALTHY" {
			healthy = append(healthy, i)
		}
	}
	if in.HealthStatus == "ALL" || in.HealthStatus == "HEALTHY_OR_ELSE_ALL" && len(healthy) == 0 {
		healthy = all
	}
	return healthy[:min(len(healthy), max(in.MaxResults, 1))]
}

func answer(w http.ResponseWriter, in input, instances []instance) {
	summaries := []map[string]any{}
	for _, i := range instances {
		summaries = append(summaries, map[string]any{
			"Attributes": i.attributes, "HealthStatus": i.health, "InstanceId": i.id,
			"NamespaceName": in.NamespaceName, "ServiceName": in.ServiceName,
		})
	}
	write(w, map[string]any{"Instances": summaries, "InstancesRevision": 1})
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.WriteHeader(status)
	write(w, map[string]any{"__type": kind, "Message": kind})
}

func write(w http.ResponseWriter, answer map[string]any) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	w.Write(text)
}
