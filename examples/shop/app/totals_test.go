package app_test

import (
	"encoding/csv"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/examples/shop/app"
)

// straightLine computes the totals of an export in one loop, with none of the shop's
// code: the other opinion that the views are compared with. It takes well-formed CSV.
func straightLine(files ...io.Reader) (totals app.Totals, rows, accepted int, rejections map[string]int) {
	totals.Days = map[string]int64{}
	rejections = map[string]int{}
	orders, returns, countries := map[string]bool{}, map[string]bool{}, map[string]bool{}
	kept := map[string]int64{}
	for _, file := range files {
		reader := csv.NewReader(file)
		reader.FieldsPerRecord = -1
		for header := true; ; header = false {
			f, err := reader.Read()
			if err == io.EOF {
				break
			}
			if header {
				continue
			}
			rows++
			if err != nil || len(f) != 8 {
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
			if quantity == 0 {
				rejections["zero_quantity"]++
			} else if price.Sign() < 0 {
				rejections["negative_price"]++
			} else if isReturn {
				if f[6] == "" {
					rejections["return_without_customer"]++
				} else if -quantity > kept[purchase] {
					rejections["return_exceeds_purchases"]++
				} else {
					accepted++
					kept[purchase] += quantity
					returns[f[0]] = true
					totals.ReturnedPence -= quantity * unit
					totals.StockMoved -= quantity
				}
			} else if price.Sign() == 0 {
				accepted++
				totals.Adjustments++
				totals.StockMoved += quantity
			} else if quantity < 0 {
				rejections["negative_quantity"]++
			} else {
				accepted++
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
	return totals, rows, accepted, rejections
}
