// Package query routes questions to their handlers and makes the answers fresh
// enough.
//
// A read model lags behind the log by a moment. [After] closes that gap for the user
// who has just written: it takes the token of a receipt, and the reader that answers
// waits until its read model has applied that position, on the node that answers.
// If it does not come in time the answer is an error, never stale data.
//
// [MaxStale] does the same for who has not written: the answer includes everything that was in the
// logs a while ago, or when the question was asked. [OrStale] is for who would rather have an old
// answer than none, and can say so; [Tell] tells how fresh an answer is, and after what to ask for
// the next one to be no older.
//
// The requirement travels in the context, from [Ask] to the reader, because only the
// reader knows which node it reads. Readers call [Await]. A handler says which read
// models it uses with [Reads]; one that answers without having opened them fails its
// call, so freshness cannot be forgotten.
//
// [Compose] makes an answer of several parts, read models and other services, that are asked at
// the same time. It is there before its deadline and names the parts that are not.
// [Collapse] lets callers share an answer, but never with one who requires more.
package query
