-- The names of all read models, in the order of their bytes. There are few: it reads the whole table.
SELECT DISTINCT name COLLATE "C" AS name FROM leftfold.read_models ORDER BY name;
