// Package straightline computes what an import should come to, in one loop over the
// CSV and with none of the shop's code: the other opinion that tests compare the shop
// with. It takes well-formed CSV, and no error is handled twice.
package straightline

import (
	"encoding/csv"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Result is what the rows of some files come to.
type Result struct {
	Rows, Accepted int
	Rejections     map[string]int // by reason
	Totals         Totals
}

// Totals are those of the whole shop. The fields are those of app.Totals, so that one
// converts to the other.
type Totals struct {
	Orders, Returns, Adjustments int64
	GrossPence, ReturnedPence    int64
	Days                         map[string]int64 // gross pence by YYYY-MM-DD
	Countries                    int
	StockMoved                   int64
}

// Compute reads the files as one, in their order.
func Compute(files ...io.Reader) (Result, error) {
	result := Result{Rejections: map[string]int{}, Totals: Totals{Days: map[string]int64{}}}
	totals, rejections := &result.Totals, result.Rejections
	orders, returns, countries := map[string]bool{}, map[string]bool{}, map[string]bool{}
	kept := map[string]int64{} // bought and not returned, by customer and item
	for _, file := range files {
		reader := csv.NewReader(file)
		reader.FieldsPerRecord = -1
		for header := true; ; header = false {
			f, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return result, err
			}
			if header {
				continue
			}
			result.Rows++
			if len(f) != 8 {
				rejections["malformed"]++
				continue
			}
			quantity, quantityErr := strconv.ParseInt(f[3], 10, 64)
			at, dateErr := time.Parse("2/1/2006 15:04", f[4])
			price, ok := new(big.Rat).SetString(f[5])
			isReturn := strings.HasPrefix(f[0], "C")
			if quantityErr != nil || dateErr != nil || !ok || f[0] == "" || f[1] == "" || isReturn && quantity > 0 {
				rejections["malformed"]++
				continue
			}
			// Half away from zero: add a half and cut off, with the sign set aside.
			pence := new(big.Rat).Add(new(big.Rat).Mul(new(big.Rat).Abs(price), big.NewRat(100, 1)), big.NewRat(1, 2))
			unit := new(big.Int).Div(pence.Num(), pence.Denom()).Int64()
			purchase := f[6] + "/" + f[1]
			switch {
			case quantity == 0:
				rejections["zero_quantity"]++
			case price.Sign() < 0:
				rejections["negative_price"]++
			case isReturn && f[6] == "":
				rejections["return_without_customer"]++
			case isReturn && -quantity > kept[purchase]:
				rejections["return_exceeds_purchases"]++
			case isReturn:
				result.Accepted++
				kept[purchase] += quantity
				returns[f[0]] = true
				totals.ReturnedPence -= quantity * unit
				totals.StockMoved -= quantity
			case price.Sign() == 0:
				result.Accepted++
				totals.Adjustments++
				totals.StockMoved += quantity
			case quantity < 0:
				rejections["negative_quantity"]++
			default:
				result.Accepted++
				if f[6] != "" {
					kept[purchase] += quantity
				}
				orders[f[0]] = true
				countries[f[7]] = true
				totals.GrossPence += quantity * unit
				totals.Days[at.Format("2006-01-02")] += quantity * unit
				totals.StockMoved -= quantity
			}
		}
	}
	totals.Orders, totals.Returns, totals.Countries = int64(len(orders)), int64(len(returns)), len(countries)
	return result, nil
}
