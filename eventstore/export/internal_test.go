package export

// ImportInBatches is Import, in transactions of another size.
var ImportInBatches = importIn
