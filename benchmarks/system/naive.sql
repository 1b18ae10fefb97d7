-- The table that most tutorials arrive at. It loses events to every reader that remembers
-- a position: two appends take 7 and 8, 8 commits first, a reader goes on from 8.
CREATE TABLE events (
  position    bigserial PRIMARY KEY,
  version     bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  event_id    uuid NOT NULL,
  stream_id   text COLLATE "C" NOT NULL,
  type        text COLLATE "C" NOT NULL,
  metadata    bytea NOT NULL,
  data        bytea NOT NULL,
  UNIQUE (stream_id, version)
);
