package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/projection"
)

// Look implements [projection.Readable]. It is one script, so all of it is of one moment of one
// server, whichever the client is connected to.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	args, err := lookFor(model, rows)
	if err != nil {
		return projection.Look{}, err
	}
	answer, err := lookScript.Run(ctx, s.client, s.keysOf(model.Generation).all(), args...).Slice()
	if err != nil {
		return projection.Look{}, s.explained(ctx, model.Generation, err)
	}
	return s.looked(model, answer)
}

// lookFor are the arguments of lua/look.lua.
func lookFor(model projection.Model, rows projection.RowQuery) ([]any, error) {
	if rows.List != nil {
		r, err := rangeOf(model, *rows.List)
		return []any{"LIST", r.start, r.stop, rows.List.Limit, r.reverse, r.keyFrom}, err
	}
	args := make([]any, 0, 1+len(rows.Keys))
	args = append(args, "KEYS")
	for _, key := range rows.Keys {
		args = append(args, key)
	}
	return args, nil
}

// looked reads the answer of lua/look.lua: stages, fields of meta, and rows.
func (s *Sink) looked(model projection.Model, answer []any) (look projection.Look, err error) {
	var parts [3][]string
	if len(answer) != len(parts) {
		return look, fmt.Errorf("%s: the server answers a look with %d parts, not %d", model.Generation, len(answer), len(parts))
	}
	for n, part := range answer {
		if parts[n], err = redis.NewCmdResult(part, nil).StringSlice(); err != nil {
			return look, fmt.Errorf("%s: part %d of a look: %w", model.Generation, n+1, err)
		}
	}
	fields := pairs(parts[1])
	builds, err := s.builds(model.Generation, pairs(parts[0]), fields)
	if err != nil {
		return look, err
	}
	look = projection.NewLook(builds, model.Generation)
	for n := range look.Followed {
		f := &look.Followed[n]
		if f.Parked, err = (shares{s, model.Generation, f.Applied.Source.Store}).parked(fields); err != nil {
			return look, err
		}
	}
	for n := 0; n+1 < len(parts[2]); n += 2 {
		row, err := unpack(model, parts[2][n], parts[2][n+1])
		if err != nil {
			return look, err
		}
		look.Rows = append(look.Rows, row)
	}
	return look, nil
}

// builds are the generations of a name, one of them with the checkpoints that its meta has.
func (s *Sink) builds(of projection.Generation, stages, fields map[string]string) (all []projection.Build, err error) {
	for text, stage := range stages {
		version, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("the generations of %s are not readable: %w", of.Name, err)
		}
		b := projection.Build{Generation: projection.Generation{Name: of.Name, Version: version}, Stage: projection.Stage(stage)}
		if b.Generation == of {
			if b.Checkpoints, err = s.checkpointsIn(of, fields); err != nil {
				return nil, err
			}
		}
		all = append(all, b)
	}
	return all, nil
}

// List implements [projection.Sink].
func (s *Sink) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	look, err := s.Look(ctx, model, projection.RowQuery{List: &list})
	if err == nil && look.Stage == "" {
		err = s.absent(ctx, model.Generation)
	}
	return look.Rows, err
}
