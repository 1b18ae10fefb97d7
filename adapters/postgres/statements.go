package postgres

import (
	"embed"
	"path"
)

// The statements, one a file; each file says what it locks and which index it relies on.
//
//go:embed sql/*.sql
var sqlFiles embed.FS

// statements are those of one store.
type statements struct {
	append, appendIn, appendOne, settings, settle, adopt, lock, versionAt, capabilities statement

	findSnapshot, putSnapshot, pruneBound, pruneCommands statement

	// Those of export and import.
	readCommands, remembered, importState, beginImport, endImport, streamEnds, importEvents, importTags, importCommands, notify statement

	head, command, streamEnd, streamForwards, streamBackwards statement

	logStart, logBegin, logAll, logTypes, logPositions, tagged, tagSample statement

	// Those of read models that do not depend on a view's columns; the others are made in view.go.
	checkpoint, insertReadModel, insertCheckpoint, moveCheckpoint statement

	builds, readModelNames, lockReadModels, lockAllSegments, putStage, putRestarted, putUnindexed, attended, show statement

	dropReadModel, dropSegments, dropWorkers, unparkAll statement

	// Those of projections that appends apply.
	appendPlainInline, appendInInline, beginInline, boundPauses, usersSettings, useSettings, moveInline, inline, setInline, otherSources, inlineElsewhere statement

	segments, lockSegments, putSegment, dropSegment, workers, putWorker, dropWorker, clock, parked, look, park, unpark, tellModels statement

	// Those of replicas.
	server, cluster statement
}

// newStatements names them without their schema: no two stores share a connection, and Postgres
// cuts names at 63 bytes, so that those of a long schema would be one.
func newStatements(s schema) statements {
	load := func(name string) statement {
		text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
		if err != nil {
			panic(err) // the file is part of the program
		}
		return statement{name: path.Join("leftfold", name), text: s.in(string(text))}
	}
	return statements{
		append:       load("append"),
		appendIn:     load("append_in"),
		appendOne:    load("append_one"),
		settings:     load("settings"),
		settle:       load("settle"),
		adopt:        load("adopt"),
		lock:         load("lock"),
		versionAt:    load("version_at"),
		capabilities: load("capabilities"),

		findSnapshot: load("find_snapshot"),
		putSnapshot:  load("put_snapshot"),

		pruneBound:    load("prune_bound"),
		pruneCommands: load("prune_commands"),

		readCommands:   load("read_commands"),
		remembered:     load("remembered"),
		importState:    load("import_state"),
		beginImport:    load("begin_import"),
		endImport:      load("end_import"),
		streamEnds:     load("stream_ends"),
		importEvents:   load("import_events"),
		importTags:     load("import_tags"),
		importCommands: load("import_commands"),
		notify:         load("notify"),

		head:            load("head"),
		command:         load("command"),
		streamEnd:       load("stream_end"),
		streamForwards:  load("stream_forwards"),
		streamBackwards: load("stream_backwards"),

		logStart:     load("log_start"),
		logBegin:     load("log_begin"),
		logAll:       load("log_all"),
		logTypes:     load("log_types"),
		logPositions: load("log_positions"),
		tagged:       load("tagged"),
		tagSample:    load("tag_sample"),

		checkpoint:       load("checkpoint"),
		insertReadModel:  load("insert_read_model"),
		insertCheckpoint: load("insert_checkpoint"),
		moveCheckpoint:   load("move_checkpoint"),

		builds:            load("builds"),
		readModelNames:    load("read_model_names"),
		lockReadModels:    load("lock_read_models"),
		lockAllSegments:   load("lock_all_segments"),
		putStage:          load("put_stage"),
		putRestarted:      load("put_restarted"),
		putUnindexed:      load("put_unindexed"),
		attended:          load("attended"),
		show:              load("show"),
		dropReadModel:     load("drop_read_model"),
		dropSegments:      load("drop_segments"),
		dropWorkers:       load("drop_workers"),
		unparkAll:         load("unpark_all"),
		appendPlainInline: load("append_inline"),
		appendInInline:    load("append_in_inline"),
		beginInline:       load("begin_inline"),
		boundPauses:       load("bound_pauses"),
		usersSettings:     load("users_settings"),
		useSettings:       load("use_settings"),
		moveInline:        load("move_inline"),
		inline:            load("inline"),
		setInline:         load("set_inline"),
		otherSources:      load("other_sources"),
		inlineElsewhere:   load("inline_elsewhere"),

		segments:     load("segments"),
		lockSegments: load("lock_segments"),
		putSegment:   load("put_segment"),
		dropSegment:  load("drop_segment"),
		workers:      load("workers"),
		putWorker:    load("put_worker"),
		dropWorker:   load("drop_worker"),
		clock:        load("clock"),
		parked:       load("parked"),
		look:         load("look"),
		server:       load("server"),
		cluster:      load("cluster"),
		park:         load("park"),
		unpark:       load("unpark"),
		tellModels:   load("tell_models"),
	}
}

// appendInline returns the statement of a batch that applies projections.
func (s *statements) appendInline(pooled bool) statement {
	if pooled {
		return s.appendInInline
	}
	return s.appendPlainInline
}
