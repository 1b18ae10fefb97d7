-- The projections that appends apply. Walks the segments, which are few.
SELECT name, version FROM leftfold.segments WHERE holder = 'inline';
