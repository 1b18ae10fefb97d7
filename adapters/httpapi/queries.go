package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/leftfold/leftfold/query"
)

const queriesPath = "/queries/"

// Queries serves the queries of the bus: GET /queries/{name} with the question as
// parameters, and HEAD. Mount it at /queries/, or below a prefix with [http.StripPrefix].
// Register every handler before; it panics on a question that parameters cannot say.
//
// A question is a struct. Its exported fields are the parameters, by their JSON names: text,
// true or false, numbers as JSON writes them, times as RFC 3339 and whatever else reads text,
// slices of those (the parameter is repeated) and pointers to those. Fields of an embedded
// struct count as its own. An unknown parameter, one given twice, or a value that does not fit is
// a 400 that names it; one that is left out is zero, nil for a pointer.
//
// The answer is 200 with the handler's answer as JSON, as encoding/json writes it: integers
// have all their digits, and what reads them must be able to keep them.
//
// With Leftfold-After ([HeaderAfter]) the answer includes what the tokens stand for; the
// query waits for that, up to Options.Wait or as long as the client says, such as
// Prefer: wait=2 (whole seconds, at most Options.MaxWait; Preference-Applied says how
// long). Not there in time is a 503 with Retry-After. A token of a store that the query does
// not follow is a 400; with Prefer: handling=lenient it is left to whoever else is asked, and
// Leftfold-After of the answer tells what it includes. That is how [AskRemote] asks.
//
// The answer's Leftfold-Position ([HeaderPosition]) has the tokens after which no answer is older
// than this one. So a client that sends back, for each store, the last Leftfold-Position that
// it got, of a command or of a query, sees what it did and never less than it has seen.
//
// If the bus follows its logs ([query.Bus.Follow]), Cache-Control: max-age=5 is for an answer that
// includes everything that was in them 5 s ago, and max-age=0 everything that was there when
// the request came; not in time is a 503 too. Age says how old the answer is at most, in seconds,
// rounded up. What nobody can tell the age of is answered as if max-age was not said, without Age:
// for who must know, that is no answer.
//
// Cache-Control: max-stale is for a client that takes a stale answer, max-stale=60 one by up to
// 60 s: when the wait is over it gets what there is, and Leftfold-Missing ([HeaderMissing]) says what
// that lacks.
func Queries(bus *query.Bus, options Options) http.Handler {
	questions := map[string]question{}
	for _, r := range bus.Queries() {
		if !options.serves(r.Name) {
			continue
		}
		q, err := newQuestion(r.Question)
		if err != nil {
			panic(fmt.Sprintf("httpapi: query %q: %v; leave it out of Options.Names or change it", r.Name, err))
		}
		questions[r.Name] = q
	}
	checkNames(options, questions)
	options = options.withDefaults()
	return options.handler(queries{options, bus, questions}.serve)
}

type queries struct {
	Options
	bus       *query.Bus
	questions map[string]question
}

func (q queries) serve(w http.ResponseWriter, r *http.Request) error {
	principal, err := q.principal(r)
	if err != nil {
		return err
	}
	name, question, err := named(r.URL.Path, queriesPath, "query", q.questions, q.Options)
	if err != nil {
		return err
	}
	if err := allowed(r, http.MethodGet, http.MethodHead); err != nil {
		return err
	}
	asked, err := question.parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	tokens, err := tokensIn(r.Header, HeaderAfter)
	if err != nil {
		return err
	}
	mayBe, err := stalenessIn(r.Header)
	if err != nil {
		return err
	}
	if err := q.authorize(r.Context(), Request{principal, name, asked}); err != nil {
		return err
	}
	prefers := q.preferred(r.Header)
	options := []query.AskOption{query.After(tokens...), query.Wait(prefers.wait)}
	if prefers.lenient {
		options = append(options, query.Lenient())
	}
	found, told, err := mayBe.ask(r.Context(), q.bus, asked, options...)
	if err != nil {
		return q.queryProblem(err)
	}
	body, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if applied := prefers.applied(); applied != "" {
		w.Header().Set("Preference-Applied", applied)
	}
	if prefers.lenient && len(told.Includes) > 0 {
		w.Header().Set(HeaderAfter, tokenTexts(told.Includes))
	}
	tellFreshness(w.Header(), told)
	send(w, http.StatusOK, "application/json", body)
	return nil
}

// preferred returns what the client wishes, within what it may.
func (o Options) preferred(header http.Header) preferences {
	p := preferred(header)
	if !p.waits {
		p.wait = o.Wait
	}
	p.wait = min(p.wait, o.MaxWait)
	return p
}
