package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// What a release has left in the world is in testdata/: for the last step of each, release-N,
// a dump of a store that it made and what its log must read as; and in released.sha256 the
// migrations that were released. Just before a release with a new step, and never for an
// older one, write them:
//
//	LEFTFOLD_WRITE_RELEASE=1 go test -count=1 -run TestWriteRelease ./adapters/postgres
const writeRelease = "LEFTFOLD_WRITE_RELEASE"

const releasedFile = "testdata/released.sha256" // as sha256sum writes it

func TestReleasedMigrationsAreNeverEdited(t *testing.T) {
	released, err := os.ReadFile(releasedFile)
	require.NoError(t, err)
	require.NotEmpty(t, released)
	require.Empty(t, edited(t, os.DirFS("."), string(released)),
		"add a step instead; databases have run this one. If it was not released yet, see the comment on writeRelease")
}

func TestMutantAnEditOfAReleasedMigrationIsFound(t *testing.T) {
	released := checksums(t, fstest.MapFS{"migrations/0001_a.sql": {Data: []byte("a")}, "migrations/0002_b.sql": {Data: []byte("b")}})
	for name, files := range map[string]fstest.MapFS{
		"edited":  {"migrations/0001_a.sql": {Data: []byte("a ")}, "migrations/0002_b.sql": {Data: []byte("b")}},
		"removed": {"migrations/0002_b.sql": {Data: []byte("b")}},
		"renamed": {"migrations/0001_c.sql": {Data: []byte("a")}, "migrations/0002_b.sql": {Data: []byte("b")}},
	} {
		require.Len(t, edited(t, files, released), 1, name)
	}
}

// edited returns the released migrations that are not as they were.
func edited(t *testing.T, files fs.FS, released string) (changed []string) {
	t.Helper()
	now := checksums(t, files)
	for line := range strings.Lines(released) {
		if !strings.Contains(now, line) {
			changed = append(changed, strings.TrimSpace(line))
		}
	}
	return changed
}

func checksums(t *testing.T, files fs.FS) string {
	t.Helper()
	names, err := fs.Glob(files, "migrations/*.sql")
	require.NoError(t, err)
	var lines strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		fmt.Fprintf(&lines, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	}
	return lines.String()
}

// A store that an older release has made is opened, read whole and appended to.
func TestStoresOfOlderReleasesOpen(t *testing.T) {
	releases, err := filepath.Glob("testdata/release-*")
	require.NoError(t, err)
	require.NotEmpty(t, releases)
	for _, release := range releases {
		t.Run(filepath.Base(release), func(t *testing.T) {
			pool := poolOn(t, postgrestest.URL(t))
			runScript(t, pool, filepath.Join(release, "store.sql"))
			_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
			require.NoError(t, err)
			store := openOn(t, pool, postgres.Options{})
			golden, err := os.ReadFile(filepath.Join(release, "log.txt"))
			require.NoError(t, err)
			require.Equal(t, string(golden), listing(t, store))
			usable(t, store)
		})
	}
}

// TestMutantAChangedStoreIsFound proves that the listing sees one byte.
func TestMutantAChangedStoreIsFound(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{
		`UPDATE leftfold.events SET data = '\x00' WHERE position = 1`,
		`UPDATE leftfold.events SET tags = NULL WHERE position = 1`,
		`UPDATE leftfold.events SET metadata = '' WHERE position = 1`,
		`UPDATE leftfold.commands SET position = position + 1`,
		`DELETE FROM leftfold.event_tags WHERE position = 1`,
	} {
		pool := poolOn(t, postgrestest.URL(t))
		runScript(t, pool, "testdata/release-2/store.sql")
		_, err := pool.Exec(t.Context(), "ALTER TABLE leftfold.events DISABLE TRIGGER USER; ALTER TABLE leftfold.event_tags DISABLE TRIGGER USER; ALTER TABLE leftfold.commands DISABLE TRIGGER USER; "+damage)
		require.NoError(t, err)
		_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
		require.NoError(t, err)
		golden, err := os.ReadFile("testdata/release-2/log.txt")
		require.NoError(t, err)
		require.NotEqual(t, string(golden), listing(t, openOn(t, pool, postgres.Options{})), damage)
	}
}

func runScript(t *testing.T, pool *pgxpool.Pool, path string) {
	t.Helper()
	script, err := os.ReadFile(path)
	require.NoError(t, err)
	// On a connection of its own: the script leaves settings behind.
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	own := conn.Hijack()
	require.NoError(t, own.PgConn().Exec(t.Context(), string(script)).Close())
	require.NoError(t, own.Close(t.Context()))
}

// usable checks that what stands in the log of [fill] still rules new appends.
func usable(t *testing.T, store *postgres.Store) {
	t.Helper()
	before := headOf(t, store)
	for _, c := range fill() {
		if c.Command.ID.IsZero() {
			continue
		}
		receipt, err := store.Append(t.Context(), c)
		require.NoError(t, err)
		require.True(t, receipt.Repeated)
	}
	add := func(change func(*eventstore.AppendRequest)) error {
		request := oneEvent("order-1")
		change(&request)
		_, err := store.Append(t.Context(), request)
		return err
	}
	require.ErrorIs(t, add(func(r *eventstore.AppendRequest) { r.Writes[0].Expected = eventstore.NoStream }), eventstore.ErrVersionConflict)
	require.ErrorIs(t, add(func(r *eventstore.AppendRequest) { r.Writes[0].Stream = "cart-9" }), eventstore.ErrStreamDeleted)
	require.ErrorIs(t, add(func(r *eventstore.AppendRequest) {
		r.Condition = &eventstore.Condition{FailIf: eventstore.Tagged("customer:1", "country:UK")}
	}), eventstore.ErrConditionFailed)
	require.Equal(t, before, headOf(t, store))
	require.NoError(t, add(func(r *eventstore.AppendRequest) {
		r.Writes[0].Expected = eventstore.Exactly(3)
		r.Condition = &eventstore.Condition{FailIf: eventstore.Tagged("customer:1"), After: before}
	}))
	require.Equal(t, before+1, headOf(t, store))
}

// listing is all that can be read, as text: the log, by tag too, and the commands.
func listing(t *testing.T, store eventstore.Store) string {
	t.Helper()
	var out strings.Builder
	for _, query := range []eventstore.Query{{}, eventstore.Tagged("customer:1"), eventstore.Tagged("größe:größer"), eventstore.Types(eventstore.TombstoneType)} {
		read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: query})
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s, store %s, through %s:\n", query, read.Identity.Store, read.Through)
		for e, err := range read.Events() {
			require.NoError(t, err)
			fmt.Fprintf(&out, "%d %q %d %q schema %d %s id %s tags %q metadata %q (nil %t) data %q\n", e.Position, e.Stream, e.Version, e.Type,
				e.SchemaVersion, e.RecordedAt.Format("2006-01-02T15:04:05.999999Z07:00"), e.ID, e.Tags, e.Metadata, e.Metadata == nil, e.Data)
		}
	}
	for _, request := range fill() {
		if receipt, known, err := store.LookupCommand(t.Context(), request.Command); known || err != nil {
			fmt.Fprintf(&out, "command %s at %d, versions %v, error %v\n", request.Command.ID, receipt.Token.Position, receipt.Versions, err)
		}
	}
	return out.String()
}

// fill is one append of every kind. The tombstone of cart-9 comes behind them.
func fill() []eventstore.AppendRequest {
	ids := byte(0)
	event := func(name string, data []byte, tags ...eventstore.Tag) eventstore.EventData {
		ids++
		return eventstore.EventData{ID: eventstore.EventID{0x01, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80, 15: ids}, Type: name, Data: data, Tags: tags}
	}
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	placed := event("order.placed", []byte(`{"customer": 1}`), "customer:1", "country:UK")
	placed.Metadata = eventstore.Metadata{eventstore.MetadataActor: "clerk"}.Encode()
	priced := event("order.priced", every)
	priced.SchemaVersion = 3
	return []eventstore.AppendRequest{
		{Writes: []eventstore.Write{{Stream: "order-1", Expected: eventstore.NoStream, Events: []eventstore.EventData{placed, event("item.added", nil)}}}},
		{
			Command: eventstore.Command{ID: eventstore.NewCommandID("checkout"), Hash: eventstore.HashCommand("checkout", []byte("1"))},
			Writes: []eventstore.Write{
				{Stream: "order-1", Expected: eventstore.Exactly(2), Events: []eventstore.EventData{priced}},
				{Stream: "cart-9", Events: []eventstore.EventData{event("cart.emptied", nil, "customer:1"), event("cart.closed", []byte("{}"))}},
				{Stream: "customer-1", Expected: eventstore.NoStream},
			},
		},
		{Command: eventstore.Command{ID: eventstore.NewCommandID("nothing to do")}},
		{
			Writes:    []eventstore.Write{{Stream: "größe-'\"\\ \u65e5\u672c 🦊", Events: []eventstore.EventData{event(`größe."geändert"`, []byte("\xff\x00"), "größe:größer", `quote:'"\`)}}},
			Condition: &eventstore.Condition{FailIf: eventstore.Tagged("größe:größer")},
		},
	}
}

func TestWriteRelease(t *testing.T) {
	if os.Getenv(writeRelease) == "" {
		return // nothing to test; see the comment on writeRelease
	}
	pool := newPool(t)
	database := pool.Config().ConnConfig.Database
	store := openOn(t, pool, postgres.Options{})
	for _, request := range fill() {
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
	}
	_, err := store.DeleteStream(t.Context(), "cart-9", eventstore.Any)
	require.NoError(t, err)
	require.NoError(t, store.Close(t.Context()))
	// What chance and the clock have made is made the same each time.
	_, err = pool.Exec(t.Context(), `SET session_replication_role = replica;
		UPDATE leftfold.store SET id = '0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f', cluster = '7000000000000000000/00000001';
		UPDATE leftfold.migrations SET at = '2026-01-01 00:00:00+00';
		UPDATE leftfold.events SET recorded_at = '2026-01-01 00:00:00+00'::timestamptz + position * interval '1.000001 s';
		UPDATE leftfold.events SET event_id = '01900000-0000-7000-8000-00000000ffff' WHERE type = '$stream.deleted';
		UPDATE leftfold.commands SET recorded_at = '2026-01-01 00:00:00+00'`)
	require.NoError(t, err)

	steps, err := postgres.Migrations("")
	require.NoError(t, err)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	dump, err := server.DumpSQL(t.Context(), database, "leftfold")
	require.NoError(t, err)
	release := fmt.Sprintf("testdata/release-%d", len(steps))
	require.NoError(t, os.MkdirAll(release, 0o755))
	for name, text := range map[string]string{
		filepath.Join(release, "store.sql"): dump,
		filepath.Join(release, "log.txt"):   listing(t, openOn(t, pool, postgres.Options{})),
		releasedFile:                        checksums(t, os.DirFS(".")),
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
}
