-- The names of all read models. Uses the primary key, in its order.
SELECT DISTINCT name FROM read_models ORDER BY name;
