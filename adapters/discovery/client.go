package discovery

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrRedirect says that a redirect was not followed, because it leaves the service.
var ErrRedirect = errors.New("redirect refused")

// NewClient returns a client on the transport that follows redirects within the service
// only: to other hosts, other services and from https to http they are refused with
// [ErrRedirect], so that no answer decides where credentials and bodies go. It has no cookies
// and no timeout of its own.
func NewClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: stayInService}
}

func stayInService(next *http.Request, before []*http.Request) error {
	first, last := before[0].URL, before[len(before)-1].URL
	switch {
	case next.URL.Host != first.Host || next.URL.User != nil:
		return fmt.Errorf("%w: from %s to %s", ErrRedirect, first.Host, next.URL.Redacted())
	case last.Scheme == "https" && next.URL.Scheme != "https" || next.URL.Scheme != "http" && next.URL.Scheme != "https":
		return fmt.Errorf("%w: from %s to %s", ErrRedirect, last.Scheme, next.URL.Scheme)
	case len(before) >= 10:
		return fmt.Errorf("%w: %d of them", ErrRedirect, len(before))
	default:
		return nil
	}
}
