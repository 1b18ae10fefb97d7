-- Names the projections that appends must apply from now on; see the function in migrations/.
-- It takes the lock of the store.
SELECT leftfold.set_inline($1);
