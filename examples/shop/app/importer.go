package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/returns"
)

// Report accounts for every row of an import: Accepted + Rejected = Rows.
type Report struct {
	Rows, Accepted int
	Rejected       []Rejection
	Groups         int
	Repeated       int              // groups that had been imported before
	Appended       int              // events appended by this import
	Token          eventstore.Token // covers every row of the report
}

// Rejection is a row that was not accepted, where it stands in the file and why.
type Rejection struct {
	Line   int           `json:"line"`
	Reason retail.Reason `json:"reason"`
	Detail string        `json:"detail,omitempty"`
	Text   string        `json:"text"`
}

// principal is who the import's commands come from.
const principal = "import"

// Import settles every row of the export through commands, in the order of the file,
// and calls progress after each group. Rows that were imported before keep their first
// outcome, and nothing is appended for them: an import that was cut off anywhere is
// finished by importing the same file again.
//
// The report is true up to the error, if there is one.
func (a *App) Import(ctx context.Context, export *retail.Reader, progress func(Report)) (Report, error) {
	var report Report
	for group, err := range export.Groups() {
		if err != nil {
			return report, fmt.Errorf("import: %w", err)
		}
		if err := a.settle(ctx, group, &report); err != nil {
			return report, fmt.Errorf("import line %d, invoice %q: %w", group.Rows[0].Line, group.InvoiceNo, err)
		}
		progress(report)
	}
	return report, nil
}

func (a *App) settle(ctx context.Context, group retail.Group, report *Report) error {
	receipt, err := a.Commands.Dispatch(ctx, commandFor(group), command.ID(group.ID), command.Principal(principal))
	if err != nil {
		return err
	}
	outcomes, err := a.outcomes(ctx, receipt, len(group.Rows))
	if err != nil {
		return err
	}
	for n, row := range group.Rows {
		report.Rows++
		if rejected := outcomes[n]; rejected != nil {
			rejected.Line = row.Line
			report.Rejected = append(report.Rejected, *rejected)
		} else {
			report.Accepted++
		}
	}
	report.Groups++
	if receipt.Token.Position > report.Token.Position { // that of a repeat lies further back
		report.Token = receipt.Token
	}
	if receipt.Repeated {
		report.Repeated++
	} else {
		report.Appended += len(group.Rows)
	}
	return nil
}

// commandFor returns the group's command. It holds what the rows say and nothing about
// the file, so a repeat is the same command wherever it stands.
func commandFor(group retail.Group) any {
	if group.Rows[0].IsReturn() {
		return returns.Accept{InvoiceNo: group.InvoiceNo, Rows: group.Values()}
	}
	return order.Place{InvoiceNo: group.InvoiceNo, Rows: group.Values()}
}

// outcomes reads back what became of the rows: nil for an accepted one. Each row is
// one event of the command's append, and the events of an append stand together, so
// the receipt says where they are: also the receipt of a repeat.
func (a *App) outcomes(ctx context.Context, receipt eventstore.Receipt, rows int) ([]*Rejection, error) {
	last := receipt.Token.Position
	read, err := a.store.ReadLog(ctx, eventstore.LogQuery{After: last - eventstore.Position(rows), Through: last})
	if err != nil {
		return nil, fmt.Errorf("read the outcome: %w", err)
	}
	outcomes := make([]*Rejection, rows)
	settled := 0
	for m, err := range read.Events() {
		if err != nil {
			return nil, fmt.Errorf("read the outcome: %w", err)
		}
		if err := outcome(m, outcomes); err != nil {
			return nil, fmt.Errorf("read the outcome: %w", err)
		}
		settled++
	}
	if settled != rows {
		return nil, fmt.Errorf("read the outcome: found %d events for %d rows", settled, rows)
	}
	return outcomes, nil
}

func outcome(m eventstore.Recorded, outcomes []*Rejection) error {
	events, err := Events.Decode(m)
	if err != nil {
		return err
	}
	for _, event := range events {
		var row int
		var rejected *Rejection
		switch e := event.(type) {
		case order.LineRejected:
			row, rejected = e.Row, &Rejection{Reason: e.Reason, Detail: e.Detail, Text: e.Text}
		case returns.LineRejected:
			row, rejected = e.Row, &Rejection{Reason: e.Reason, Detail: e.Detail, Text: e.Text}
		default:
			continue // the row was accepted
		}
		if row < 0 || row >= len(outcomes) {
			return errors.New("an event names a row that its command does not have")
		}
		outcomes[row] = rejected
	}
	return nil
}
