// Package httpapi serves the command and the query bus over HTTP, with net/http and its
// conventions: handlers to mount wherever they belong, and [Serve] to run them.
//
//	POST /commands/{name}       a command as strict JSON; the receipt as JSON
//	GET  /queries/{name}?a=b    a query as parameters; the answer as JSON
//
// [OpenAPI] writes down what they take and answer. [AskRemote] and [Client.Dispatch] are how another
// service asks and sends: freshness and errors are those of one process.
//
// What it promises:
//
//   - A request that is refused has appended nothing. What is not understood to the last
//     byte is refused: an unknown, misspelt or repeated field is never passed over, and the
//     problem names it.
//   - Under an Idempotency-Key a command takes effect at most once, for ever, whatever is
//     repeated or lost, and every repeat gets the first receipt. The store remembers, not
//     this package. Keys of one principal do not touch those of another.
//   - If-Match is never ignored: the command is decided on that version or refused.
//   - With Leftfold-After an answer includes what the tokens stand for, or is a problem;
//     it is never stale.
//   - Errors are problems (RFC 9457) with a stable type; the text of an unexpected error
//     goes to the log and never to the client.
//
// What it leaves to middleware around its handlers: CORS, rates, compression, TLS.
package httpapi
