package sqlite

import _ "embed"

// The statements of the sink that do not depend on a view's columns.
var (
	//go:embed sql/read_model_hash.sql
	readModelHashSQL string
	//go:embed sql/insert_read_model.sql
	insertReadModelSQL string
	//go:embed sql/insert_checkpoint.sql
	insertCheckpointSQL string
	//go:embed sql/checkpoint.sql
	checkpointSQL string
	//go:embed sql/move_checkpoint.sql
	moveCheckpointSQL string
)
