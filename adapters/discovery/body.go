package discovery

import (
	"io"
	"net/http"
	"sync/atomic"
)

// heldBody is the body of a request that may have to be sent more than once. What has never
// had a connection has not read it, so it can be given to the next try as it is; what was sent
// once is had again by GetBody.
type heldBody struct {
	body  io.ReadCloser
	fresh func() (io.ReadCloser, error)
	broke atomic.Bool // reading it failed before it was closed, which is not the endpoint's fault
	ended atomic.Bool // it was closed
	sent  atomic.Bool // a connection was had for it: it may have been read, and will be closed by whoever reads it
}

func hold(r *http.Request) *heldBody {
	return &heldBody{body: r.Body, fresh: r.GetBody}
}

// again reports whether there is a body for another try.
func (h *heldBody) again() bool {
	return h.body == nil || h.body == http.NoBody || !h.sent.Load() || h.fresh != nil
}

// next returns the body of a try.
func (h *heldBody) next() (io.ReadCloser, error) {
	switch {
	case h.body == nil || h.body == http.NoBody:
		return h.body, nil
	case !h.sent.Load():
		return unclosed{h}, nil
	default:
		return h.fresh()
	}
}

// unclosed lets what had no connection close the body without closing it.
type unclosed struct{ *heldBody }

func (u unclosed) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	if err != nil && err != io.EOF && !u.ended.Load() {
		u.broke.Store(true)
	}
	return n, err
}

func (u unclosed) Close() error {
	if u.sent.Load() {
		u.ended.Store(true)
		return u.body.Close()
	}
	return nil
}

// done closes the body if no connection was ever had for it.
func (h *heldBody) done() {
	if h.body != nil && !h.sent.Load() {
		_ = h.body.Close()
	}
}
