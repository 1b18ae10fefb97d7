package sqlite

import _ "embed"

// The statements, one a file; each file says which index it relies on.
var (
	//go:embed sql/recognise.sql
	recogniseSQL string
	//go:embed sql/create_store.sql
	createStoreSQL string

	//go:embed sql/head.sql
	headSQL string
	//go:embed sql/anchors.sql
	anchorsSQL string
	//go:embed sql/stream_end.sql
	streamEndSQL string
	//go:embed sql/command.sql
	commandSQL string
	//go:embed sql/data_version.sql
	dataVersionSQL string

	//go:embed sql/insert_event.sql
	insertEventSQL string
	//go:embed sql/insert_tag.sql
	insertTagSQL string
	//go:embed sql/insert_command.sql
	insertCommandSQL string

	//go:embed sql/prune_bound.sql
	pruneBoundSQL string
	//go:embed sql/prune_page.sql
	prunePageSQL string
	//go:embed sql/allow_pruning.sql
	allowPruningSQL string
	//go:embed sql/prune_commands.sql
	pruneCommandsSQL string

	//go:embed sql/read_commands.sql
	readCommandsSQL string
	//go:embed sql/remembered.sql
	rememberedSQL string
	//go:embed sql/begin_import.sql
	beginImportSQL string

	// Those of the caller's transactions.

	//go:embed sql/lock.sql
	lockSQL string
	//go:embed sql/main_file.sql
	mainFileSQL string

	//go:embed sql/find_snapshot.sql
	findSnapshotSQL string
	//go:embed sql/put_snapshot.sql
	putSnapshotSQL string

	//go:embed sql/writer_batch.sql
	writerBatchSQL string
	//go:embed sql/mark_batch.sql
	markBatchSQL string
	//go:embed sql/prune_writers.sql
	pruneWritersSQL string

	//go:embed sql/stream_forwards.sql
	streamForwardsSQL string
	//go:embed sql/stream_backwards.sql
	streamBackwardsSQL string

	//go:embed sql/log_all.sql
	logAllSQL string
	//go:embed sql/log_types.sql
	logTypesSQL string
	//go:embed sql/log_positions.sql
	logPositionsSQL string

	//go:embed sql/tagged.sql
	taggedSQL string
	//go:embed sql/tagged_types.sql
	taggedTypesSQL string
	//go:embed sql/tag_sample.sql
	tagSampleSQL string
	//go:embed sql/first_of_types.sql
	firstOfTypesSQL string

	// Those of read models that do not depend on a view's columns; the others are made
	// in view.go.

	//go:embed sql/read_model_hash.sql
	readModelHashSQL string
	//go:embed sql/insert_read_model.sql
	insertReadModelSQL string
	//go:embed sql/segments.sql
	segmentsSQL string
	//go:embed sql/begin_segments.sql
	beginSegmentsSQL string
	//go:embed sql/put_segment.sql
	putSegmentSQL string
	//go:embed sql/drop_segment.sql
	dropSegmentSQL string
	//go:embed sql/move_segment.sql
	moveSegmentSQL string
	//go:embed sql/workers.sql
	workersSQL string
	//go:embed sql/put_worker.sql
	putWorkerSQL string
	//go:embed sql/drop_worker.sql
	dropWorkerSQL string
	//go:embed sql/parked.sql
	parkedSQL string
	//go:embed sql/park.sql
	parkSQL string
	//go:embed sql/unpark.sql
	unparkSQL string

	//go:embed sql/builds.sql
	buildsSQL string
	//go:embed sql/read_model_names.sql
	readModelNamesSQL string
	//go:embed sql/put_stage.sql
	putStageSQL string
	//go:embed sql/put_hash.sql
	putHashSQL string
	//go:embed sql/attended.sql
	attendedSQL string
	//go:embed sql/drop_read_model.sql
	dropReadModelSQL string
	//go:embed sql/drop_segments.sql
	dropSegmentsSQL string
	//go:embed sql/drop_workers.sql
	dropWorkersSQL string
	//go:embed sql/unpark_all.sql
	unparkAllSQL string
	//go:embed sql/columns.sql
	columnsSQL string

	// Those of projections that appends apply.

	//go:embed sql/set_inline.sql
	setInlineSQL string
	//go:embed sql/inline.sql
	inlineSQL string
	//go:embed sql/other_sources.sql
	otherSourcesSQL string
	//go:embed sql/inline_elsewhere.sql
	inlineElsewhereSQL string
	//go:embed sql/move_inline.sql
	moveInlineSQL string
)

// A share of a transaction is a savepoint, see group.go.
const (
	savepointSQL  = "SAVEPOINT share"
	releaseSQL    = "RELEASE share"
	rollBackToSQL = "ROLLBACK TO share"
)

// So is an append in the caller's transaction, see tx.go.
const (
	savepointAppendSQL  = "SAVEPOINT leftfold_append"
	releaseAppendSQL    = "RELEASE leftfold_append"
	rollBackToAppendSQL = "ROLLBACK TO leftfold_append"
)

// What runs often enough to be kept prepared: by stores and by sinks, on connections
// that write and on those that read.
var (
	appends = []string{
		headSQL, streamEndSQL, commandSQL, insertEventSQL, insertTagSQL, insertCommandSQL,
		writerBatchSQL, markBatchSQL, taggedSQL, taggedTypesSQL, tagSampleSQL, firstOfTypesSQL, moveInlineSQL, putSnapshotSQL,
	}
	reads = []string{
		headSQL, anchorsSQL, streamEndSQL, commandSQL, streamForwardsSQL, streamBackwardsSQL,
		logAllSQL, logTypesSQL, logPositionsSQL, taggedSQL, taggedTypesSQL, tagSampleSQL, findSnapshotSQL,
	}
	sinkWrites = []string{moveSegmentSQL, segmentsSQL, workersSQL, putSegmentSQL, putWorkerSQL, savepointSQL, releaseSQL, rollBackToSQL}
	sinkReads  = []string{segmentsSQL, readModelHashSQL}
)
