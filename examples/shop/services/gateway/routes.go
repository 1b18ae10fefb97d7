package gateway

import (
	"net/http"
	"net/url"
)

// routes are the gateway's own paths. They are other names for a command and a query, with all that
// httpapi gives those: keys, tokens and problems.
//
//	POST /orders                     order.place
//	GET  /orders/{id}?from=both      order.detail
func routes(api http.Handler) map[string]http.Handler {
	return map[string]http.Handler{
		"POST /orders": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			api.ServeHTTP(w, to(r, "/commands/order.place", nil))
		}),
		"GET /orders/{id}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			question := r.URL.Query()
			question.Set("order", r.PathValue("id"))
			api.ServeHTTP(w, to(r, "/queries/order.detail", question))
		}),
	}
}

// to returns the request as one to another path.
func to(r *http.Request, path string, question url.Values) *http.Request {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Pattern = path, "", question.Encode(), ""
	r.RequestURI = r.URL.RequestURI()
	return r
}
