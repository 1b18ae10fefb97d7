-- Begins the transaction of a batch that applies projections.
BEGIN ISOLATION LEVEL READ COMMITTED;
