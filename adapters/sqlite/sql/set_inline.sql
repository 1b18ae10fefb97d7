-- Names the projections that appends must apply from now on. One row.
UPDATE store SET inline_set = ?1 WHERE inline_set <> ?1;
