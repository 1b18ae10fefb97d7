-- Lets command ids of earlier positions be removed, until the same transaction takes that back
-- (0). One row.
UPDATE store SET prunable = ?1;
