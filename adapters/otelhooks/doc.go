// Package otelhooks tells OpenTelemetry what an application on Leftfold does: traces from a
// command through its append to the projections that apply it and the query that waits for
// them, and metrics of all of these. It needs the API of OpenTelemetry alone; which SDK and
// exporter there are is the program's business.
//
//	hooks, err := otelhooks.New(otelhooks.Options{})
//	commands := command.NewBus(hooks.Commands())
//	queries := query.NewBus(hooks.Queries())
//	accounts := aggregate.NewRepository(hooks.Store(store), Accounts)
//	worker := projection.Worker{Log: store, Hooks: hooks.Projections(projection.Hooks{}), …}
//	_, err = hooks.Observe(store, sink, "balances")
//	_, err = hooks.ObserveReplicas("main", replicas)
//	worker := saga.Worker{Dispatcher: hooks.Dispatcher(dispatcher), Hooks: hooks.Sagas(saga.Hooks{}), …}
//	_, err = hooks.ObserveSagas(worker)
//	bus := relay.Relay{Name: "orders", Publisher: hooks.Publisher("orders", publisher), …}
//	_, err = hooks.Observe(store, sink, "orders")
//
// Each of them works without the others. What is not hooked costs nothing.
//
// # Spans
//
// Names and attributes follow the semantic conventions for messaging, where the log is the
// destination and a projection is a group of consumers.
//
//	span               kind      parent                 attributes
//	command <name>     internal  that of the caller     leftfold.command, leftfold.correlation_id, leftfold.repeated
//	load <category>    client    the one under way      messaging.operation.name, leftfold.stream, leftfold.events
//	read log           client    the one under way      messaging.operation.name, leftfold.events
//	append <category>  producer  the one under way      messaging.system, messaging.operation.name and .type,
//	                                                    messaging.destination.name, messaging.batch.message_count,
//	                                                    leftfold.stream, leftfold.position, leftfold.repeated
//	delete <category>  producer  the one under way      as append
//	apply <projection> consumer  none; links to appends messaging.system, messaging.operation.name and .type,
//	                                                    messaging.consumer.group.name, messaging.batch.message_count,
//	                                                    messaging.destination.partition.id, leftfold.projection.version,
//	                                                    leftfold.position
//	dispatch <name>    client    the one under way      leftfold.command, leftfold.command_id; an attempt of a saga
//	query <name>       internal  that of the caller     leftfold.query, leftfold.query.waited, .stale and .age
//
// A failure has error.type, a word of a short list or "_OTHER". Loads and reads of the log
// have spans only under another one: a worker that looks for new events makes none. A window
// in which a projection finds no event makes none either.
//
// The append of a sampled span stores its trace context with each event, as "traceparent" (W3C
// Trace Context) in the metadata; that is how the projection, in whatever process and however
// late, links to it. Events whose metadata are not in the usual form are left as they are, and so
// are those that would become too large by it. A span of a window links to at most 64 appends.
//
// # Metrics
//
//	metric                                kind       unit     attributes
//	leftfold.command.duration             histogram  s        leftfold.command, leftfold.repeated, error.type
//	leftfold.append.duration              histogram  s        leftfold.repeated, error.type
//	leftfold.append.events                histogram  {event}  none; those of each append that wrote
//	leftfold.query.duration               histogram  s        leftfold.query, leftfold.query.stale, error.type
//	leftfold.query.wait                   histogram  s        as duration; of queries that require something
//	leftfold.query.age                    histogram  s        as duration; of answers of which it is known, see query.Bus.Follow
//	leftfold.projection.apply.duration    histogram  s        leftfold.projection, error.type
//	leftfold.projection.events            counter    {event}  leftfold.projection; once for each segment
//	leftfold.projection.rebuild.progress  gauge      1        leftfold.projection, leftfold.projection.version
//	leftfold.projection.lag               gauge      s        leftfold.projection, .version and .stage; of [Hooks.Observe]
//	leftfold.projection.lag.events        gauge      {event}  as lag
//	leftfold.projection.parked            gauge      {key}    as lag
//	leftfold.projection.segments          gauge      {segment} as lag, and leftfold.segment.state
//	leftfold.replica.in_order             gauge      1        leftfold.replica, leftfold.sink; of [Hooks.ObserveReplicas]
//	leftfold.replica.lag                  gauge      s        as in_order; none of the primary
//	leftfold.replica.looks                counter    {look}   as in_order
//	leftfold.replica.failures             counter    {look}   as in_order
//	leftfold.saga.instances               gauge      {instance} leftfold.saga, leftfold.saga.phase; of [Hooks.ObserveSagas]
//	leftfold.saga.timers                  gauge      {timer}  leftfold.saga
//	leftfold.saga.timers.overdue          gauge      s        leftfold.saga; 0 if none is due
//	leftfold.saga.parked                  gauge      {key}    leftfold.saga
//	leftfold.saga.ended                   counter    {instance} leftfold.saga, leftfold.saga.phase; those of this worker
//	leftfold.saga.stuck                   counter    {instance} leftfold.saga; each time that one gets stuck
//	leftfold.saga.timer.lag               histogram  s        leftfold.saga; from due to fired
//	leftfold.saga.dispatch.duration       histogram  s        leftfold.command, error.type: attempts, refusals and failures
//	leftfold.relay.messages               counter    {message} leftfold.relay, error.type; of [Hooks.Publisher]
//	leftfold.relay.publish.duration       histogram  s        leftfold.relay, error.type; of requests
//
// A relay's lag, dead letters and segments are those of a projection of its name.
//
// leftfold.query.stale is true of answers that lack what was required, and else left out. The age is
// what is certain: an answer may be younger.
//
// A conflict is an append with error.type "version_conflict" or "condition_failed". No metric has
// streams, principals or ids among its attributes, and no span has principals or payloads. The
// text of an error is the description of a failed span.
package otelhooks
