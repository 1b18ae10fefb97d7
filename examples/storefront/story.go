package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

// tell runs all services in this process, each on an address of its own, and is their client.
func tell(ctx context.Context, out io.Writer, o options) error {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the services' logs
	s := &story{out: out, options: o}
	orders := s.start(ctx, startOrders)
	defer orders.stop()
	s.name = "stock-1"
	one := s.start(ctx, startStock)
	defer one.stop()
	s.name = "stock-2"
	two := s.start(ctx, startStock)
	defer two.stop()
	s.orders, s.stock = []string{orders.url}, []string{one.url, two.url}
	page := s.start(ctx, startPage)
	defer page.stop()

	s.says("Ten mugs arrive. Leftfold-Position is where that stands in the log of stock.")
	arrived := s.asks(ctx, one, "POST /commands/stock.receive", `Idempotency-Key: "delivery-7"`, `{"item":"mug","quantity":10}`)
	s.asks(ctx, two, "GET /queries/stock.get?item=mug", "Leftfold-After: "+arrived)

	s.says("Ada orders two, and asks for her page after that: it has her order, or is an error.")
	placed := s.asks(ctx, orders, "POST /commands/order.place", `Idempotency-Key: "basket-42"`, `{"order":"42","item":"mug","quantity":2}`)
	seen := s.asks(ctx, page, getPage, "Leftfold-After: "+placed)

	s.says("She asks after what has not happened yet, and will not wait: no page, rather than an older one.")
	s.asks(ctx, page, getPage, "Leftfold-After: "+regexp.MustCompile(`\d+$`).ReplaceAllString(placed, "999"), "Prefer: wait=0")

	s.says("Bob has no token. He wants all that had happened when he asked; Age is how old it is at most, in seconds.")
	s.asks(ctx, orders, "GET /queries/order.get?order=42", "Cache-Control: max-age=0")

	s.says("One instance of stock goes while 100 pages are asked for.")
	whole := s.many(ctx, page, 100, seen, one.stop)
	s.prints("<", fmt.Sprintf("%d of 100 pages lack nothing", whole))

	s.says("The other one goes too. The page says what it lacks, and why.")
	two.stop()
	s.asks(ctx, page, getPage, "Leftfold-After: "+placed)

	s.says("It is back, and answers nobody. The page is there in time.")
	hung, err := net.Listen("tcp", strings.TrimPrefix(two.url, "http://")) //nolint:noctx // it takes no time
	if err != nil {
		return err
	}
	s.asks(ctx, page, getPage, "Leftfold-After: "+placed)
	return errors.Join(s.err, hung.Close())
}

const getPage = "GET /queries/page.get?order=42"

type story struct {
	options

	out io.Writer
	err error // the first one; what would come after it does nothing
}

// instance is a service that runs.
type instance struct {
	url  string
	stop func()
}

func (s *story) start(ctx context.Context, serve start) instance {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it takes no time
	if err != nil {
		s.err = cmp.Or(s.err, err)
		return instance{stop: func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	o := s.options
	go func() { ended <- serve(ctx, listener, o) }()
	return instance{"http://" + listener.Addr().String(), sync.OnceFunc(func() {
		cancel()
		s.err = cmp.Or(s.err, <-ended)
	})}
}

func (s *story) says(text string) { fmt.Fprintf(s.out, "\n%s\n", text) }

var idOfLog = regexp.MustCompile(`([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}`)

func (s *story) prints(mark, text string) {
	fmt.Fprintf(s.out, "  %s %s\n", mark, idOfLog.ReplaceAllString(text, "$1…"))
}

// asks prints a request and what came of it, and returns its Leftfold-Position.
func (s *story) asks(ctx context.Context, of instance, what string, lines ...string) string {
	if s.err != nil {
		return ""
	}
	for _, line := range append([]string{what}, lines...) {
		s.prints(">", line)
	}
	status, header, body, err := send(ctx, of, what, lines...)
	s.err = err
	s.prints("<", fmt.Sprint(status, " ", body))
	for _, name := range []string{"Leftfold-Position", "Age"} {
		if value := header.Get(name); value != "" {
			s.prints("<", name+": "+value)
		}
	}
	return header.Get("Leftfold-Position")
}

// many asks for n pages, eight at a time, and returns how many lack nothing; half of them are asked
// for before something happens.
func (s *story) many(ctx context.Context, page instance, n int64, token string, happens func()) int64 {
	var asked, whole atomic.Int64
	half := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for turn := asked.Add(1); turn <= n; turn = asked.Add(1) {
				if turn == n/2 {
					close(half)
				}
				status, _, body, err := send(ctx, page, getPage, "Leftfold-After: "+token)
				if err == nil && status == http.StatusOK && !strings.Contains(body, "missing") {
					whole.Add(1)
				}
			}
		})
	}
	<-half
	happens()
	clients.Wait()
	return whole.Load()
}

// send sends a request: a method and a path, then headers, and a body if there is one.
func send(ctx context.Context, to instance, what string, lines ...string) (status int, header http.Header, body string, err error) {
	method, path, _ := strings.Cut(what, " ")
	header = http.Header{"Content-Type": {"application/json"}}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ": "); ok {
			header.Set(name, value)
		} else {
			body = line
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, to.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(answer), errors.Join(err, response.Body.Close())
}
