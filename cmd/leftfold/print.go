package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/query"
)

// result is everything that the demo has to tell.
type result struct {
	imported imported
	answers  answers
	replayed replayed
	findings []error
}

// answers are what the queries answered.
type answers struct {
	through   eventstore.Position // everything up to here is in them
	totals    app.Totals
	days      []sales.DayInCountry
	customers []sales.Customer
	items     []sales.Stock
	orders    []order.Summary
}

const tableRows = 5

func (a *answers) askForTables(ctx context.Context, shop *app.App, fresh []query.AskOption) (err error) {
	if a.customers, err = query.Ask[[]sales.Customer](ctx, shop.Queries, app.BestCustomers{Limit: tableRows}, fresh...); err != nil {
		return err
	}
	if a.items, err = query.Ask[[]sales.Stock](ctx, shop.Queries, app.MostSold{Limit: tableRows}, fresh...); err != nil {
		return err
	}
	if a.orders, err = query.Ask[[]order.Summary](ctx, shop.Queries, app.LargestOrders{Limit: tableRows}, fresh...); err != nil {
		return err
	}
	a.days, err = query.Ask[[]sales.DayInCountry](ctx, shop.Queries, app.SalesByDayAndCountry{}, fresh...)
	return err
}

// summary is the JSON form of a result. rows to rejections are of this run, the totals
// are over the whole store and come from the views.
type summary struct {
	Rows         int                   `json:"rows"`
	AcceptedRows int                   `json:"accepted_rows"`
	RejectedRows int                   `json:"rejected_rows"`
	Rejections   map[retail.Reason]int `json:"rejections"`
	app.Totals
	Events                int64       `json:"events"`
	EventsAppended        int         `json:"events_appended"`
	Commands              int         `json:"commands"`
	CommandsRepeated      int         `json:"commands_repeated"`
	ImportEventsPerSecond int64       `json:"import_events_per_second"`
	ReplayEventsPerSecond int64       `json:"replay_events_per_second"`
	ViewRows              int         `json:"view_rows"`
	ViewsEqual            bool        `json:"views_equal"`
	Findings              []string    `json:"findings"`
	Rejected              []rejection `json:"rejected"`
}

func (r result) summary() summary {
	s := summary{
		Rows: r.imported.Rows, AcceptedRows: r.imported.Accepted, RejectedRows: len(r.imported.rejections),
		Rejections: map[retail.Reason]int{}, Totals: r.answers.totals,
		Events: int64(r.replayed.events), EventsAppended: r.imported.Appended,
		Commands: r.imported.Groups, CommandsRepeated: r.imported.Repeated,
		ImportEventsPerSecond: rate(r.imported.Appended, r.imported.took),
		ReplayEventsPerSecond: rate(int64(r.replayed.events), r.replayed.took),
		ViewRows:              r.replayed.rows, ViewsEqual: r.replayed.same == nil,
		Findings: []string{}, Rejected: append([]rejection{}, r.imported.rejections...),
	}
	for _, rejected := range r.imported.rejections {
		s.Rejections[rejected.Reason]++
	}
	for _, finding := range r.findings {
		s.Findings = append(s.Findings, finding.Error())
	}
	return s
}

func (d *demo) print(r result, path string) error {
	if d.output == "json" {
		encoder := json.NewEncoder(d.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r.summary())
	}
	p := printer{d.stdout, plainWidth}
	if width, ok := terminalWidth(d.stdout); ok {
		p.width = width
	}
	p.tables(r.answers)
	p.rejections(r.imported.rejections)
	p.summary(r.summary(), r.findings, path)
	return nil
}

// printer prints for people. No line of a table is wider than width.
type printer struct {
	out   io.Writer
	width int
}

const plainWidth = 80 // where there is no terminal to ask

// table prints rows under a title. Columns after the first `left` hold numbers.
func (p printer) table(title string, left int, header table.Row, rows []table.Row) {
	t := table.NewWriter()
	t.SetOutputMirror(p.out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.Style().Size.WidthMax = p.width
	t.SuppressTrailingSpaces()
	t.AppendHeader(header)
	t.AppendRows(rows)
	var columns []table.ColumnConfig
	for n := left + 1; n <= len(header); n++ {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	fmt.Fprintf(p.out, "\n%s\n", title)
	t.Render()
}

func (p printer) tables(a answers) {
	var days, customers, items, orders []table.Row
	for _, day := range salesByDay(a.days) {
		days = append(days, table.Row{day.Day, thousands(day.Lines), retail.Pounds(day.Pence), day.Country})
	}
	p.table("Sales by day", 1, table.Row{"day", "lines", "gross", "countries"}, days)
	for _, c := range a.customers {
		customers = append(customers, table.Row{c.ID, cell(c.Country), thousands(c.Lines), retail.Pounds(c.BoughtPence), retail.Pounds(c.ReturnedPence), retail.Pounds(c.NetPence)})
	}
	p.table("Best customers", 2, table.Row{"customer", "country", "lines", "bought", "returned", "net"}, customers)
	for _, i := range a.items {
		items = append(items, table.Row{i.StockCode, cell(i.Description), thousands(i.Sold), thousands(i.Returned), thousands(i.Adjusted), thousands(i.Moved)})
	}
	p.table("Most sold items", 2, table.Row{"item", "description", "sold", "returned", "adjusted", "stock moved"}, items)
	for _, o := range a.orders {
		orders = append(orders, table.Row{o.InvoiceNo, orGuest(o.Customer), cell(o.Country), thousands(o.Lines), retail.Pounds(o.Pence)})
	}
	p.table("Largest orders", 3, table.Row{"order", "customer", "country", "lines", "gross"}, orders)
}

// cell returns text of the export, fit for a column among others.
func cell(exported string) string { return text.Snip(printable(exported), 30, "…") }

// printable keeps what a file says from moving the cursor.
func printable(exported string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, exported)
}

// salesByDay adds up the countries of each day; Country becomes their number.
func salesByDay(rows []sales.DayInCountry) (days []sales.DayInCountry) {
	countries := 0
	for _, row := range rows { // ordered by day
		if len(days) == 0 || days[len(days)-1].Day != row.Day {
			days, countries = append(days, sales.DayInCountry{Day: row.Day}), 0
		}
		day := &days[len(days)-1]
		countries++
		day.Lines += row.Lines
		day.Pence += row.Pence
		day.Country = strconv.Itoa(countries)
	}
	return days
}

func orGuest(customer string) string {
	if customer == "" {
		return "(guest)"
	}
	return customer
}

const rejectionsShown = 10

func (p printer) rejections(rejected []rejection) {
	if len(rejected) == 0 {
		return
	}
	var rows []table.Row
	const besideText = 38 // the other columns
	for _, r := range rejected[:min(len(rejected), rejectionsShown)] {
		rows = append(rows, table.Row{r.Line, r.Reason, text.Snip(printable(r.Text), max(p.width-besideText, 20), "…")})
	}
	p.table("Rejected rows", 3, table.Row{"line", "reason", "row"}, rows)
	if more := len(rejected) - rejectionsShown; more > 0 {
		fmt.Fprintf(p.out, " … and %s more; -o json lists them all\n", thousands(more))
	}
}

func (p printer) summary(s summary, findings []error, path string) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(p.out, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(p.out, "\nThis run")
	line("rows", "%s = %s accepted + %s rejected", thousands(s.Rows), thousands(s.AcceptedRows), thousands(s.RejectedRows))
	for _, reason := range slices.Sorted(maps.Keys(s.Rejections)) {
		line("", "%s %s", thousands(s.Rejections[reason]), reason)
	}
	line("commands", "%s, of which %s had been imported before", thousands(s.Commands), thousands(s.CommandsRepeated))
	line("import", "%s events, %s events/s", thousands(s.EventsAppended), thousands(s.ImportEventsPerSecond))
	line("replay", "%s events into %s rows, %s events/s", thousands(s.Events), thousands(s.ViewRows), thousands(s.ReplayEventsPerSecond))
	fmt.Fprintln(p.out, "\nThe shop")
	line("sold", "%s in %s orders to %d countries", retail.Pounds(s.GrossPence), thousands(s.Orders), s.Countries)
	line("returned", "%s in %s returns", retail.Pounds(s.ReturnedPence), thousands(s.Returns))
	line("stock", "moved by %s, with %s adjustments", thousands(s.StockMoved), thousands(s.Adjustments))
	line("log", "%s events in %s", thousands(s.Events), path)
	fmt.Fprintln(p.out)
	if len(findings) == 0 {
		fmt.Fprintln(p.out, "OK: all rows accounted for, no gap in the log; views, replay and log agree")
		return
	}
	for _, finding := range findings {
		fmt.Fprintf(p.out, "FAILED: %v\n", finding)
	}
}

// thousands writes a number with separators.
func thousands[N ~int | ~int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}
