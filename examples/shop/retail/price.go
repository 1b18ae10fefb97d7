package retail

import (
	"fmt"
	"strconv"
	"strings"
)

// Price is a price of one unit. Pence is rounded half away from zero; Sign is that of
// the exact price, because a price of £0.001 is small, and not nothing.
type Price struct {
	Pence int64
	Sign  int // -1, 0 or 1
}

const maxPounds = 10_000_000

// ParsePrice reads a decimal number of pounds exactly: never through a float, where
// 1.005 is less than it says.
func ParsePrice(text string) (Price, error) {
	bad := fmt.Errorf("price %.32q: want a decimal number of pounds", text)
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole+fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return Price{}, bad
	}
	pounds, err := strconv.ParseInt("0"+whole, 10, 64)
	if err != nil || pounds > maxPounds {
		return Price{}, bad
	}
	padded := fraction + "000"
	pence := pounds*100 + int64(padded[0]-'0')*10 + int64(padded[1]-'0')
	if padded[2] >= '5' {
		pence++
	}
	price := Price{Pence: pence, Sign: 1}
	if strings.Trim(whole+fraction, "0") == "" {
		price.Sign = 0
	}
	if negative {
		price.Pence, price.Sign = -price.Pence, -price.Sign
	}
	return price, nil
}

func allDigits(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// Pounds returns an amount of pence as text, such as £1,234.50.
func Pounds(pence int64) string {
	sign := ""
	if pence < 0 {
		sign, pence = "-", -pence
	}
	whole := strconv.FormatInt(pence/100, 10)
	for n := len(whole) - 3; n > 0; n -= 3 {
		whole = whole[:n] + "," + whole[n:]
	}
	return fmt.Sprintf("%s£%s.%02d", sign, whole, pence%100)
}
