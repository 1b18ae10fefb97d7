package lattice_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/discovery/lattice"
)

const (
	keyID  = "AKID"
	secret = "wJalrXUtnFEMI/K7MDENG"
	region = "eu-west-1"
)

func credentials(token string) aws.CredentialsProviderFunc {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: token}, nil
	}
}

// verify recomputes the signature of a request as Lattice does, from what has arrived and from the
// text of Signature Version 4, without the SDK.
func verify(r *http.Request) error {
	var credential, signedHeaders, signature string
	fields, found := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !found {
		return errors.New("not signed")
	}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			signedHeaders = value
		case "Signature":
			signature = value
		}
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return fmt.Errorf("date %q: %w", date, err)
	}
	scope := strings.Join([]string{date[:8], region, "vpc-lattice-svcs", "aws4_request"}, "/")
	if credential != keyID+"/"+scope {
		return fmt.Errorf("credential %q", credential)
	}
	names := strings.Split(signedHeaders, ";")
	if !slices.IsSorted(names) || !slices.Contains(names, "host") || !slices.Contains(names, "x-amz-content-sha256") || r.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" {
		return fmt.Errorf("headers %v, content %q", names, r.Header.Get("X-Amz-Content-Sha256"))
	}
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, encode(r.URL.EscapedPath(), true), query(r.URL.Query()))
	for _, name := range names {
		fmt.Fprintf(&canonical, "%s:%s\n", name, value(r, name))
	}
	fmt.Fprintf(&canonical, "\n%s\nUNSIGNED-PAYLOAD", signedHeaders)
	digest := sha256.Sum256([]byte(canonical.String()))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, text)); !hmac.Equal([]byte(want), []byte(signature)) {
		return fmt.Errorf("the signature is not that of\n%s", canonical.String())
	}
	return nil
}

func value(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return fmt.Sprint(r.ContentLength)
	default:
		return strings.Join(r.Header.Values(name), ",")
	}
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func query(values url.Values) string {
	var pairs []string
	for name, all := range values {
		for _, v := range all {
			pairs = append(pairs, encode(name, false)+"="+encode(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func encode(text string, slash bool) string {
	var out strings.Builder
	for _, b := range []byte(text) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0 || slash && b == '/' {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// service is a Lattice that verifies, and fails the first times it is asked.
type service struct {
	*httptest.Server

	mu     sync.Mutex
	fails  int
	found  []error
	bodies []string

	queries []url.Values
}

func serve(t testing.TB, fails int) *service {
	s := &service{fails: fails}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.found = append(s.found, verify(r))
		s.bodies = append(s.bodies, string(body))
		s.queries = append(s.queries, r.URL.Query())
		if len(s.found) <= s.fails {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestSignaturesAreThoseThatLatticeVerifies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, target, body string }{
		{http.MethodGet, "/", ""},
		{http.MethodGet, "/v1/orders/a%2Fb%20c/~x", ""},
		{http.MethodGet, "/v1?b=2&a=1&a=%20%2F&empty=", ""},
		{http.MethodGet, "/v1?id=b&x=1&id=a+%2B&&id=A&flag", ""},
		{http.MethodPost, "/v1/orders", `{"id":"ä"}`},
	} {
		for _, token := range []string{"", "session"} {
			lattices := serve(t, 0)
			r, err := http.NewRequest(c.method, lattices.URL+c.target, strings.NewReader(c.body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer of something else")
			before := r.Header.Clone()
			response, err := lattice.Signer{Credentials: credentials(token), Region: region, Next: lattices.Client().Transport}.RoundTrip(r)
			require.NoError(t, err)
			response.Body.Close()
			require.Equal(t, []error{nil}, lattices.found)
			assert.Equal(t, c.body, lattices.bodies[0])
			assert.Equal(t, r.URL.Query(), lattices.queries[0], "lists keep their order")
			assert.Equal(t, before, r.Header, "the request is the caller's")
		}
	}
}

// Each twin changes the request after it was signed: the verifier must see it.
func TestPlantedBugsWhatIsChangedAfterItWasSignedIsFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"host":    func(r *http.Request) { r.Host = "other" },
		"path":    func(r *http.Request) { r.URL.Path = "/other" },
		"query":   func(r *http.Request) { r.URL.RawQuery = "a=2" },
		"method":  func(r *http.Request) { r.Method = http.MethodDelete },
		"header":  func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"date":    func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") },
		"payload": func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) },
		"nothing": func(r *http.Request) { r.Header.Del("Authorization") },
	} {
		lattices := serve(t, 0)
		r, err := http.NewRequest(http.MethodGet, lattices.URL+"/v1?a=1", nil)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		response, err := lattice.Signer{Credentials: credentials(""), Region: region, Next: changes{change, lattices.Client().Transport}}.RoundTrip(r)
		require.NoError(t, err)
		response.Body.Close()
		require.Error(t, lattices.found[0], name)
	}
}

type changes struct {
	change func(*http.Request)
	next   http.RoundTripper
}

func (c changes) RoundTrip(r *http.Request) (*http.Response, error) {
	c.change(r)
	return c.next.RoundTrip(r)
}

// Each try is signed for its endpoint, and a body is there again.
func TestTriesAreSignedAnew(t *testing.T) {
	t.Parallel()
	first, second := serve(t, 1), serve(t, 1)
	found, err := discovery.NewStatic(map[string][]string{"orders": {first.URL, second.URL}})
	require.NoError(t, err)
	transport := discovery.NewTransport(found, discovery.TransportOptions{Around: lattice.Around(credentials(""), region, "orders")})
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequest(http.MethodPut, "http://orders/v1/x", strings.NewReader("body"))
	require.NoError(t, err)
	response, err := transport.RoundTrip(r)
	require.NoError(t, err)
	response.Body.Close()
	for _, s := range []*service{first, second} {
		assert.Equal(t, []error{nil}, s.found)
		assert.Equal(t, []string{"body"}, s.bodies)
	}
}

func TestOtherServicesAreNotSigned(t *testing.T) {
	t.Parallel()
	plain := serve(t, 0)
	found, err := discovery.NewStatic(map[string][]string{"payments": {plain.URL}})
	require.NoError(t, err)
	transport := discovery.NewTransport(found, discovery.TransportOptions{Around: lattice.Around(credentials(""), region, "orders")})
	t.Cleanup(transport.CloseIdleConnections)
	response, err := discovery.NewClient(transport).Get("http://payments/")
	require.NoError(t, err)
	response.Body.Close()
	require.EqualError(t, plain.found[0], "not signed")
}

func TestAQueryThatIsNoneIsNotSentWithoutIt(t *testing.T) {
	t.Parallel()
	lattices := serve(t, 0)
	for _, query := range []string{"a=1;b=2", "a=%zz"} {
		r, err := http.NewRequest(http.MethodGet, lattices.URL+"/?"+query, nil)
		require.NoError(t, err)
		_, err = lattice.Signer{Credentials: credentials(""), Region: region, Next: lattices.Client().Transport}.RoundTrip(r)
		require.ErrorContains(t, err, "the query of the URL")
	}
	assert.Empty(t, lattices.found)
}

// Credentials that are asked for over HTTP, as those of a role are, and refused.
func TestTheRequestForCredentialsIsNoTry(t *testing.T) {
	t.Parallel()
	lattices := serve(t, 0)
	roles := httptest.NewServer(http.NotFoundHandler())
	defer roles.Close()
	refused := errors.New("access denied")
	found, err := discovery.NewStatic(map[string][]string{"orders": {lattices.URL}})
	require.NoError(t, err)
	transport := discovery.NewTransport(found, discovery.TransportOptions{Around: lattice.Around(
		aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, roles.URL, nil)
			if err != nil {
				return aws.Credentials{}, err
			}
			response, err := roles.Client().Do(r)
			if err != nil {
				return aws.Credentials{}, err
			}
			return aws.Credentials{}, errors.Join(refused, response.Body.Close())
		}), region, "orders")})
	for range 30 {
		_, err = discovery.NewClient(transport).Get("http://orders/")
		require.ErrorIs(t, err, refused, "the circuit has opened: %v", err)
	}
	assert.Zero(t, transport.Status()[0].Circuit)
	assert.Zero(t, transport.Status()[0].Endpoints[0].Failures)
}

// Without credentials nothing is sent, and no endpoint is to blame.
func TestWithoutCredentialsNothingIsSent(t *testing.T) {
	t.Parallel()
	lattices := serve(t, 0)
	none := errors.New("no credentials")
	found, err := discovery.NewStatic(map[string][]string{"orders": {lattices.URL}})
	require.NoError(t, err)
	transport := discovery.NewTransport(found, discovery.TransportOptions{Around: lattice.Around(
		aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, none }), region, "orders")})
	for range 30 {
		r, err := http.NewRequest(http.MethodPost, "http://orders/", strings.NewReader("x"))
		require.NoError(t, err)
		_, err = transport.RoundTrip(r)
		require.ErrorIs(t, err, none)
	}
	assert.Empty(t, lattices.found)
	assert.Zero(t, transport.Status()[0].Circuit)
	assert.Zero(t, transport.Status()[0].Endpoints[0].Failures)
}

func ExampleAround() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Fields(r.Header.Get("Authorization"))[0], " ", r.Header.Get("X-Amz-Content-Sha256"))
	}))
	defer server.Close()
	found, err := discovery.NewStatic(map[string][]string{"orders": {server.URL}}) // https://….vpc-lattice-svcs.eu-west-1.on.aws
	if err != nil {
		fmt.Println(err)
		return
	}
	// The credentials are those of the aws.Config.
	transport := discovery.NewTransport(found, discovery.TransportOptions{Around: lattice.Around(credentials(""), "eu-west-1", "orders")})
	defer transport.CloseIdleConnections()
	response, err := discovery.NewClient(transport).Get("http://orders/v1/x")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	fmt.Println(string(text), err)
	// Output:
	// AWS4-HMAC-SHA256 UNSIGNED-PAYLOAD <nil>
}
