-- Inserts the rows of the tags of imported events: positions ($1) and their tags, one a line ($2).
INSERT INTO leftfold.event_tags (tag, position)
SELECT t.tag, e.position
FROM (SELECT unnest($1::bigint[]) AS position, unnest($2::text[]) AS tags) e, string_to_table(e.tags, E'\n') t(tag)
ORDER BY 1, 2;
