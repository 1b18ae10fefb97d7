-- Who the store is, on the cluster as it is now; see the function in migrations/.
SELECT id, incarnation, head, fences, read_only
FROM leftfold.adopt();
