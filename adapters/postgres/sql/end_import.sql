-- Lets everybody append again after an import. One row.
UPDATE leftfold.store SET inline_set = 0 WHERE inline_set = -1;
