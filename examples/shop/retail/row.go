package retail

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Row is one row of the export. It holds what the row says, not where it stands: the
// same row in another file is the same row.
type Row struct {
	InvoiceNo   string
	StockCode   string
	Description string
	Quantity    int64
	At          time.Time
	Price       Price
	Customer    string // empty: a guest
	Country     string

	// Malformed says why the row cannot be read, empty if it can. The other fields of a
	// malformed row are unset, except InvoiceNo if that could be read.
	Malformed string `json:",omitempty"`
	// Text is the row as it stands in the file, cut to a readable length.
	Text string
}

// Reason says why a row was rejected.
type Reason string

// The reasons for a rejection.
const (
	Malformed              Reason = "malformed"
	ZeroQuantity           Reason = "zero_quantity"
	NegativePrice          Reason = "negative_price"
	NegativeQuantity       Reason = "negative_quantity"
	ReturnWithoutCustomer  Reason = "return_without_customer"
	ReturnExceedsPurchases Reason = "return_exceeds_purchases"
)

// Kind is what a row asks for.
type Kind int

// What a row can ask for.
const (
	Sale       Kind = iota // goods leave, money comes
	Return                 // a customer gives goods back
	Adjustment             // the stock is corrected
	Rejected               // none of these
)

// Kind decides what the row is: the shop's rules, in their order. The reason is set
// for rejected rows. Whether a return is accepted needs the customer's purchases as
// well; that is up to package returns.
func (r Row) Kind() (Kind, Reason) {
	switch {
	case r.Malformed != "":
		return Rejected, Malformed
	case r.Quantity == 0:
		return Rejected, ZeroQuantity
	case r.Price.Sign < 0:
		return Rejected, NegativePrice
	case r.IsReturn() && r.Customer == "":
		return Rejected, ReturnWithoutCustomer
	case r.IsReturn():
		return Return, ""
	case r.Price.Sign == 0:
		return Adjustment, ""
	case r.Quantity < 0:
		return Rejected, NegativeQuantity
	default:
		return Sale, ""
	}
}

// IsReturn reports whether the row belongs to a return: its invoice number starts with C.
func (r Row) IsReturn() bool { return strings.HasPrefix(r.InvoiceNo, "C") }

// Bounds that keep a row fit for an event and its names fit for streams and tags.
const (
	columns      = 8
	maxRowBytes  = 8 << 10
	maxNameBytes = 100
	maxTextRunes = 500
	maxQuantity  = 1_000_000_000
	dateLayout   = "2/1/2006 15:04" // day/month/year hour:minute
)

// newRow reads the fields of a row.
func newRow(fields []string, raw string) Row {
	raw = strings.ToValidUTF8(raw, "\uFFFD")
	row := Row{Text: shortened(raw)}
	for n := range fields {
		fields[n] = strings.ToValidUTF8(strings.TrimSpace(fields[n]), "\uFFFD")
	}
	if len(fields) > 0 && nameable(fields[0]) {
		row.InvoiceNo = fields[0]
	}
	if problem := read(fields, &row, len(raw)); problem != "" {
		return Row{InvoiceNo: row.InvoiceNo, Malformed: problem, Text: row.Text}
	}
	return row
}

// read fills the row, or says why it cannot.
func read(fields []string, r *Row, size int) (problem string) {
	if len(fields) != columns {
		return "it has " + strconv.Itoa(len(fields)) + " fields, want 8"
	}
	if size > maxRowBytes {
		return "it is longer than 8 KiB"
	}
	if r.InvoiceNo == "" {
		return "InvoiceNo is empty or unreadable"
	}
	r.StockCode, r.Description, r.Customer, r.Country = fields[1], storable(fields[2]), fields[6], storable(fields[7])
	if !nameable(r.StockCode) {
		return "StockCode is empty or unreadable"
	}
	if r.Customer != "" && !nameable(r.Customer) {
		return "CustomerID is unreadable"
	}
	var err error
	if r.Quantity, err = strconv.ParseInt(fields[3], 10, 64); err != nil || r.Quantity > maxQuantity || r.Quantity < -maxQuantity {
		return "Quantity is not a whole number within a thousand million"
	}
	if r.At, err = time.ParseInLocation(dateLayout, fields[4], time.UTC); err != nil {
		return "InvoiceDate is not day/month/year hour:minute"
	}
	if r.Price, err = ParsePrice(fields[5]); err != nil {
		return "UnitPrice is not a number within ten million"
	}
	if r.IsReturn() && r.Quantity > 0 {
		return "the quantity of a return is positive"
	}
	return ""
}

// nameable reports whether the text can be part of a stream's name and of a tag.
func nameable(text string) bool {
	return text != "" && len(text) <= maxNameBytes && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// storable returns text that a view can hold, which NUL is not. An event that no view can
// take would stop the projections for good: it is in the log, and events are never changed.
func storable(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

func shortened(text string) string {
	if runes := []rune(text); len(runes) > maxTextRunes {
		return string(runes[:maxTextRunes]) + "…"
	}
	return text
}
