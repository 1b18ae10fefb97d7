// Package export writes a store's log to a file that anything can read, and reads it into another store. It is how to
// leave Leftfold, how to go from one database to another, and a backup that can be looked into.
//
// The file is JSON, an object a line: a header, the events in the order of the log, the commands that the store
// remembers in the order of their ids, and an end with their numbers. Ids, positions, versions, times, tags,
// payloads and metadata are as they were recorded, byte for byte, so an export of what was imported is the same
// file, whatever the stores are. A payload that is JSON stands there as it is; any other is in base64.
//
//	{"leftfold":"log","format":1,"store":"01a2…","events":2,"sum":"…"}
//	{"position":1,"stream":"order-7","version":1,"id":"01a2…","type":"order.placed","schema_version":1,"recorded_at":"2026-11-27T05:12:08.000000Z","tags":["customer:a"],"data":{"total":17},"sum":"…"}
//	…
//	{"command":"9f86…","hash":"60b4…","position":1,"versions":{"order-7":1},"recorded_at":"…","sum":"…"}
//	{"events":2,"commands":1,"sha256":"…"}
//
// Every line ends with the sum of itself and all lines before it, so what was changed, left out, added or cut off is
// refused with its line ([LineError]). It proves that the file is what was written, not who wrote it.
package export
