// Package lattice signs requests for services of VPC Lattice whose auth type is AWS_IAM.
//
// A request is signed as it is sent: after its endpoint was chosen, and anew for each try. The
// body is not part of the signature, because Lattice does not support that; TLS keeps it.
package lattice

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Signer signs each request with Signature Version 4. It is safe for concurrent use.
type Signer struct {
	// Credentials are asked for each request: give it an aws.CredentialsCache, as that of
	// an aws.Config is.
	Credentials aws.CredentialsProvider

	Region string

	// Next sends the signed request.
	Next http.RoundTripper
}

const (
	service  = "vpc-lattice-svcs"
	unsigned = "UNSIGNED-PAYLOAD"
)

// Around returns what signs the tries of a discovery.Transport to these services; others are
// not signed. It is TransportOptions.Around.
func Around(credentials aws.CredentialsProvider, region string, services ...string) func(string, http.RoundTripper) http.RoundTripper {
	signed := make(map[string]bool, len(services))
	for _, name := range services {
		signed[name] = true
	}
	return func(name string, next http.RoundTripper) http.RoundTripper {
		if !signed[name] {
			return next
		}
		return Signer{Credentials: credentials, Region: region, Next: next}
	}
}

// RoundTrip signs a copy of the request and sends it.
func (s Signer) RoundTrip(r *http.Request) (*http.Response, error) {
	signed, err := s.sign(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return s.Next.RoundTrip(signed)
}

func (s Signer) sign(r *http.Request) (*http.Request, error) {
	credentials, err := s.Credentials.Retrieve(bare{r.Context()})
	if err != nil {
		return nil, fmt.Errorf("sign for VPC Lattice: credentials: %w", err)
	}
	signed := r.Clone(r.Context())
	for _, header := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} { // of an earlier signature
		signed.Header.Del(header)
	}
	signed.Header.Set("X-Amz-Content-Sha256", unsigned)
	if err := v4.NewSigner().SignHTTP(r.Context(), credentials, signed, unsigned, service, s.Region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign for VPC Lattice: %w", err)
	}
	if signed.URL.RawQuery, err = ordered(r.URL.RawQuery); err != nil {
		return nil, fmt.Errorf("sign for VPC Lattice: %w", err)
	}
	return signed, nil
}

// bare ends as a context does, and has none of its values: what credentials are asked of over HTTP
// would be traced as the try of the request.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// ordered writes a query as the signer does, but in its own order: the signature is of the sorted
// one, whichever is sent, and the signer would send that, with the values of a list sorted.
func ordered(query string) (string, error) {
	if query == "" {
		return "", nil
	}
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		one, err := url.ParseQuery(pair)
		if err != nil {
			return "", fmt.Errorf("the query of the URL: %w", err)
		}
		if len(one) > 0 {
			pairs = append(pairs, strings.ReplaceAll(one.Encode(), "+", "%20"))
		}
	}
	return strings.Join(pairs, "&"), nil
}
