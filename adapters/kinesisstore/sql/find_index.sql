-- Which stream the index is of. One row.
SELECT store_id, stream, incarnation FROM leftfold.kinesis_index;
