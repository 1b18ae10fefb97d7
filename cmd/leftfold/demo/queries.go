package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// asker asks the gateway how an order stands, from its view, again and again: what people do whatever else
// goes on. A question is asked again when it finds nobody, as any client does, for as long as patience
// lasts.
type asker struct {
	gateway string // URL

	mu    sync.Mutex
	order string // to ask for; empty: there is none yet
	next  string // to ask for when the view has it
	asked asked
}

// asked is what became of the questions.
type asked struct {
	answered, failed int64
	again            int64 // questions that were asked more than once
	slowest          time.Duration
}

const (
	patience = 2 * time.Second
	askEvery = 5 * time.Millisecond
)

// run asks until ctx ends.
func (a *asker) run(ctx context.Context) {
	client := &http.Client{Timeout: patience}
	for pause(ctx, askEvery) {
		order := a.which(ctx, client)
		if order == "" {
			continue
		}
		began, tries := time.Now(), 0
		err := a.ask(ctx, client, order)
		for ; err != nil && time.Since(began) < patience && pause(ctx, askEvery); tries++ {
			err = a.ask(ctx, client, order)
		}
		if ctx.Err() != nil {
			return
		}
		a.enter(err, tries, time.Since(began))
	}
}

func (a *asker) enter(err error, tries int, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked.answered++
	if err != nil {
		a.asked.answered--
		a.asked.failed++
	}
	if tries > 0 {
		a.asked.again++
	}
	a.asked.slowest = max(a.asked.slowest, took)
}

func (a *asker) ask(ctx context.Context, client *http.Client, order string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.gateway+"/orders/"+url.PathEscape(order)+"?from=view", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the gateway says %s", response.Status)
	}
	return err
}

// which returns the order to ask for.
func (a *asker) which(ctx context.Context, client *http.Client) string {
	a.mu.Lock()
	order, next := a.order, a.next
	a.mu.Unlock()
	if next != "" && a.ask(ctx, client, next) == nil {
		order = next
		a.mu.Lock()
		a.order, a.next = next, ""
		a.mu.Unlock()
	}
	return order
}

// about has it ask for an order, from when the view has that on.
func (a *asker) about(order string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == "" {
		a.next = order
	}
}

func (a *asker) now() asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// afresh forgets which was the slowest.
func (a *asker) afresh() asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked.slowest = 0
	return a.asked
}

// answers returns when a question that was asked after the call was answered.
func (a *asker) answers(ctx context.Context) error {
	for begin := a.now(); ; {
		if now := a.now(); a.silent() || now.answered > begin.answered+1 { // one may have been under way
			return nil
		}
		if !pause(ctx, askEvery) {
			return ctx.Err()
		}
	}
}

// silent reports whether there is nothing to ask for yet.
func (a *asker) silent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order == ""
}

// pause lets some time pass. False: ctx has ended.
func pause(ctx context.Context, long time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(long):
		return true
	}
}
