package main

import (
	"context"
	"strconv"

	"github.com/leftfold/leftfold/eventstore"
)

// booked is an event as a build of its time has appended it.
type booked struct {
	account, name string
	version       int
	payload       string
}

// history is what the bank's former programs left in the log, over the years and in three versions
// of account.opened.
var history = []booked{
	{"ada", "account.opened", 1, `{"name":"Ada","deposit":"20.00"}`},
	{"ada", "account.viewed", 1, `{"by":"clerk 7"}`},
	{"ada", "account.booked", 1, `{"cents":5000,"text":"salary"}`},
	{"bob", "account.opened", 2, `{"name":"Bob"}`},
	{"ada", "account.booked", 1, `{"cents":-1500,"text":"rent"}`},
	{"ada", "account.booked", 1, `{"cents":0,"text":"fee"}`},
	{"bob", "account.deposited", 1, `{"cents":1000}`},
	{"cleo", "account.opened", 3, `{"owner":"Cleo","currency":"GBP"}`},
}

// past makes the bank old: it appends the history, once.
func past(ctx context.Context, store eventstore.Appender) error {
	for n, e := range history {
		_, err := store.Append(ctx, eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID("history", strconv.Itoa(n))},
			Writes: []eventstore.Write{{
				Stream: eventstore.NewStreamID("account", e.account),
				Events: []eventstore.EventData{{Type: e.name, SchemaVersion: e.version, Data: []byte(e.payload)}},
			}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
