package importcmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/query"
)

// result is everything that the import has to tell.
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
		ImportEventsPerSecond: cli.Rate(r.imported.Appended, r.imported.took),
		ReplayEventsPerSecond: cli.Rate(int64(r.replayed.events), r.replayed.took),
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

func (v *verb) print(r result, path string) error {
	if v.output == cli.JSON {
		return cli.PrintJSON(v.stdout, r.summary())
	}
	p := printer{cli.NewPrinter(v.stdout)}
	p.tables(r.answers)
	p.rejections(r.imported.rejections)
	p.summary(r.summary(), r.findings, path)
	return nil
}

// printer prints for people.
type printer struct{ cli.Printer }

func (p printer) tables(a answers) {
	var days, customers, items, orders []cli.Row
	for _, day := range salesByDay(a.days) {
		days = append(days, cli.Row{day.Day, cli.Thousands(day.Lines), retail.Pounds(day.Pence), day.Country})
	}
	p.Table("Sales by day", 1, cli.Row{"day", "lines", "gross", "countries"}, days)
	for _, c := range a.customers {
		customers = append(customers, cli.Row{c.ID, cell(c.Country), cli.Thousands(c.Lines), retail.Pounds(c.BoughtPence), retail.Pounds(c.ReturnedPence), retail.Pounds(c.NetPence)})
	}
	p.Table("Best customers", 2, cli.Row{"customer", "country", "lines", "bought", "returned", "net"}, customers)
	for _, i := range a.items {
		items = append(items, cli.Row{i.StockCode, cell(i.Description), cli.Thousands(i.Sold), cli.Thousands(i.Returned), cli.Thousands(i.Adjusted), cli.Thousands(i.Moved)})
	}
	p.Table("Most sold items", 2, cli.Row{"item", "description", "sold", "returned", "adjusted", "stock moved"}, items)
	for _, o := range a.orders {
		orders = append(orders, cli.Row{o.InvoiceNo, orGuest(o.Customer), cell(o.Country), cli.Thousands(o.Lines), retail.Pounds(o.Pence)})
	}
	p.Table("Largest orders", 3, cli.Row{"order", "customer", "country", "lines", "gross"}, orders)
}

// cell returns text of the export, fit for a column among others.
func cell(exported string) string { return cli.Snip(cli.Printable(exported), 30) }

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
	var rows []cli.Row
	const besideText = 38 // the other columns
	for _, r := range rejected[:min(len(rejected), rejectionsShown)] {
		rows = append(rows, cli.Row{r.Line, r.Reason, cli.Snip(cli.Printable(r.Text), max(p.Width-besideText, 20))})
	}
	p.Table("Rejected rows", 3, cli.Row{"line", "reason", "row"}, rows)
	if more := len(rejected) - rejectionsShown; more > 0 {
		fmt.Fprintf(p.Out, " … and %s more; -o json lists them all\n", cli.Thousands(more))
	}
}

func (p printer) summary(s summary, findings []error, path string) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(p.Out, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(p.Out, "\nThis run")
	line("rows", "%s = %s accepted + %s rejected", cli.Thousands(s.Rows), cli.Thousands(s.AcceptedRows), cli.Thousands(s.RejectedRows))
	for _, reason := range slices.Sorted(maps.Keys(s.Rejections)) {
		line("", "%s %s", cli.Thousands(s.Rejections[reason]), reason)
	}
	line("commands", "%s, of which %s had been imported before", cli.Thousands(s.Commands), cli.Thousands(s.CommandsRepeated))
	line("import", "%s events, %s events/s", cli.Thousands(s.EventsAppended), cli.Thousands(s.ImportEventsPerSecond))
	line("replay", "%s events into %s rows, %s events/s", cli.Thousands(s.Events), cli.Thousands(s.ViewRows), cli.Thousands(s.ReplayEventsPerSecond))
	fmt.Fprintln(p.Out, "\nThe shop")
	line("sold", "%s in %s orders to %d countries", retail.Pounds(s.GrossPence), cli.Thousands(s.Orders), s.Countries)
	line("returned", "%s in %s returns", retail.Pounds(s.ReturnedPence), cli.Thousands(s.Returns))
	line("stock", "moved by %s, with %s adjustments", cli.Thousands(s.StockMoved), cli.Thousands(s.Adjustments))
	line("log", "%s events in %s", cli.Thousands(s.Events), path)
	fmt.Fprintln(p.Out)
	if len(findings) == 0 {
		fmt.Fprintln(p.Out, "OK: all rows accounted for, no gap in the log; views, replay and log agree")
		return
	}
	for _, finding := range findings {
		fmt.Fprintf(p.Out, "FAILED: %v\n", finding)
	}
}
