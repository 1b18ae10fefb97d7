// Package lambdaruntime runs a built Lambda function as Lambda does: the program asks a Runtime API for
// events and sends answers there. For tests that want the real binary.
//
// It has what aws-lambda-go uses: next, response, error, init error, deadlines, request and trace ids, the
// registration of an extension, SIGTERM, the limit of 6 MB, one invocation at a time. It is made after
// AWS's documentation. It does not freeze a sandbox between invocations and has no limit on memory.
package lambdaruntime
