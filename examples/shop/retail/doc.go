// Package retail reads the till's export: a CSV file with one row per invoice line.
//
// Every row of the file comes out, good or bad, with the line it stands on; nothing
// is dropped on the way. What a row means is decided by [Row.Kind], in one place.
package retail
