package lambdaapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// HTTPOptions are those of [HTTP]. The zero value works.
type HTTPOptions struct {
	// Prefix is taken off the path if it begins with it: that of a custom domain's mapping, "/v1".
	// The stage's own prefix, which a stage other than $default puts in front, is always taken off.
	// Default: none.
	Prefix string

	// Logger gets panics with their stack, and answers that are too large. Default: slog.Default().
	Logger *slog.Logger
}

// MaxAnswer is the most bytes that an answer may have as Lambda counts it: the JSON with the body in it,
// which is a third larger if the body is no text. What is larger becomes a 500 that says so, because
// Lambda itself would say only that something is wrong.
const MaxAnswer = 6 << 20

// HTTP returns the Lambda function that gives the requests of an API Gateway HTTP API (payload
// format 2.0) to the handler. It answers as in a container:
//
//   - Path and query are those on the wire, still escaped.
//   - Headers have one line each, many values joined by commas, as the gateway hands them over; cookies are
//     in Cookie. RemoteAddr is the client's address, as the gateway saw it, with port 0.
//   - The request's context ends with the invocation, a little earlier, so that an answer about it can
//     still be sent. [Gateway] finds the gateway's event in it: who was authorized, and by what.
//   - An answer is complete or none: what is written is sent when the handler returns. Trailers are not
//     sent; a hijack is not possible.
//   - A panic is a 500 with an empty body, and the sandbox lives on.
//
// The function's error is always nil, but for an event of another format.
func HTTP(handler http.Handler, options HTTPOptions) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	log := loggerOr(options.Logger)
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		if event.Version != "2.0" {
			return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("the event has payload format %q; set PayloadFormatVersion of the integration to 2.0", event.Version)
		}
		ctx, done := early(ctx)
		defer done()
		request, err := requestOf(ctx, event, options.Prefix)
		if err != nil {
			log.WarnContext(ctx, "the request is no HTTP", "error", err)
			return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusBadRequest}, nil
		}
		answer := &answer{header: http.Header{}, head: request.Method == http.MethodHead}
		if !handled(handler, answer, request, log) {
			return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusInternalServerError}, nil
		}
		response := answer.response()
		if size := sizeOf(response); size > MaxAnswer {
			log.ErrorContext(ctx, "the answer is too large for Lambda", "bytes", size, "most", MaxAnswer, "path", event.RawPath)
			return tooLarge(), nil
		}
		return response, nil
	}
}

// handled reports whether the handler returned, and did not panic.
func handled(handler http.Handler, w *answer, r *http.Request, log *slog.Logger) (ok bool) {
	defer func() {
		if cause := recover(); cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // as net/http has it
			log.ErrorContext(r.Context(), "the handler panicked", "panic", cause, "path", r.URL.Path, "stack", string(debug.Stack()))
		}
	}()
	handler.ServeHTTP(w, r)
	return true
}

type gatewayKey struct{}

// Gateway returns what API Gateway tells about a request, by the request's context; false if
// it came another way.
func Gateway(ctx context.Context) (events.APIGatewayV2HTTPRequestContext, bool) {
	gateway, ok := ctx.Value(gatewayKey{}).(events.APIGatewayV2HTTPRequestContext)
	return gateway, ok
}

// requestOf returns the request as a server would have read it.
func requestOf(ctx context.Context, event events.APIGatewayV2HTTPRequest, prefix string) (*http.Request, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, fmt.Errorf("the body is no base64: %w", err)
		}
		body = decoded
	}
	ctx = context.WithValue(ctx, gatewayKey{}, event.RequestContext)
	r, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, "/", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	path := pathOf(event, prefix)
	r.URL, r.RequestURI = urlOf(path, event.RawQueryString), requestURI(path, event.RawQueryString)
	r.Header = headerOf(event)
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	if r.Host == "" {
		r.Host = event.RequestContext.DomainName
	}
	r.RemoteAddr = net.JoinHostPort(event.RequestContext.HTTP.SourceIP, "0")
	if major, minor, ok := http.ParseHTTPVersion(event.RequestContext.HTTP.Protocol); ok {
		r.Proto, r.ProtoMajor, r.ProtoMinor = event.RequestContext.HTTP.Protocol, major, minor
	}
	return r, nil
}

// urlOf returns the URL as a server parses it. A path that is no escaped one stands for itself.
func urlOf(path, query string) *url.URL {
	u := &url.URL{Path: path, RawQuery: query}
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path = plain
		if u.EscapedPath() != path {
			u.RawPath = path
		}
	}
	return u
}

// requestURI is what stood on the wire: a quote that was not escaped is not escaped here either.
func requestURI(path, query string) string {
	if query != "" {
		path += "?" + query
	}
	return path
}

// pathOf returns the escaped path without what stands for the stage and the mapping.
func pathOf(event events.APIGatewayV2HTTPRequest, prefix string) string {
	path := event.RawPath
	if stage := event.RequestContext.Stage; stage != "" && stage != "$default" {
		path = without(path, "/"+stage)
	}
	return without(path, strings.TrimSuffix(prefix, "/"))
}

// without takes whole segments off the front of the path.
func without(path, prefix string) string {
	rest, ok := strings.CutPrefix(path, prefix)
	switch {
	case !ok || rest != "" && rest[0] != '/':
		return path
	case rest == "":
		return "/"
	default:
		return rest
	}
}

func headerOf(event events.APIGatewayV2HTTPRequest) http.Header {
	header := make(http.Header, len(event.Headers)+1)
	for name, value := range event.Headers {
		header[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	if len(event.Cookies) > 0 {
		header["Cookie"] = []string{strings.Join(event.Cookies, "; ")}
	}
	return header
}
