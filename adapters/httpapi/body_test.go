package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

func TestABodyThatIsNotUnderstoodNamesTheField(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	for body, want := range map[string]httpapi.FieldError{
		`{"account":"ada","cents":1,"tip":2}`:            {Pointer: "#/tip", Detail: "there is no such field; names are exact, upper and lower case count"},
		`{"account":"ada","Cents":1}`:                    {Pointer: "#/Cents", Detail: "there is no such field; names are exact, upper and lower case count"},
		`{"account":"ada","cents":1,"cents":2}`:          {Pointer: "#/cents", Detail: "it is given twice"},
		`{"account":"ada","cents":1,"c\u0065nts":2}`:     {Pointer: "#/cents", Detail: "it is given twice"},
		`{"account":7,"cents":1}`:                        {Pointer: "#/account", Detail: "it is to be a string"},
		`{"account":"ada","cents":"1"}`:                  {Pointer: "#/cents", Detail: "it is to be a whole number of 32 bits"},
		`{"account":"ada","cents":1.5}`:                  {Pointer: "#/cents", Detail: "it is to be a whole number of 32 bits"},
		`{"account":"ada","cents":1e3}`:                  {Pointer: "#/cents", Detail: "it is to be a whole number of 32 bits"},
		`{"account":"ada","cents":2147483648}`:           {Pointer: "#/cents", Detail: "2147483648 is out of range, it is to be a whole number of 32 bits"},
		`{"account":"ada","cents":null}`:                 {Pointer: "#/cents", Detail: "it cannot be null; leave it out or give a value"},
		`{"account":"ada","lines":[{},{"Quantity":-1}]}`: {Pointer: "#/lines/1/Quantity", Detail: "it is to be a whole number of 8 bits, not negative"},
		`{"account":"ada","lines":[{"Quantity":256}]}`:   {Pointer: "#/lines/0/Quantity", Detail: "256 is out of range, it is to be a whole number of 8 bits, not negative"},
		`{"account":"ada","lines":{}}`:                   {Pointer: "#/lines", Detail: "it is to be an array"},
		`{"account":"ada","lines":[{"a/b~c d":1}]}`:      {Pointer: "#/lines/0/a~1b~0c%20d", Detail: "there is no such field; names are exact, upper and lower case count"},
		`{"account":"ada","Note":{}}`:                    {Pointer: "#/Note", Detail: "it is to be a string"},
		`{"account":"ada","cents":1}{}`:                  {Pointer: "#", Detail: "invalid character '{' after top-level value, at byte 27"},
		`{"account":"ada","cents":1} x`:                  {Pointer: "#", Detail: "invalid character 'x' after top-level value, at byte 28"},
		"{\"account\":\"a\xffda\"}":                      {Pointer: "#/account", Detail: "invalid UTF-8, at byte 13"},
		`{"account":"\ud800"}`:                           {Pointer: "#/account", Detail: "invalid surrogate pair `\\ud800\"}` in string, at byte 12"},
		`{"account":"ada",}`:                             {Pointer: "#", Detail: "invalid character ',' at start of value, at byte 16"},
		`{"account":"ada"`:                               {Pointer: "#", Detail: "unexpected EOF, at byte 16"},
		`{"account":NaN}`:                                {Pointer: "#/account", Detail: "invalid character 'N' at start of value, at byte 11"},
		"\ufeff{}":                                       {Pointer: "#", Detail: "invalid character '\\ufeff' at start of value, at byte 0"},
		`[]`:                                             {Pointer: "#", Detail: "it is to be an object"},
		`null`:                                           {Pointer: "#", Detail: "it cannot be null; leave it out or give a value"},
		` `:                                              {Pointer: "#", Detail: "unexpected EOF, at byte 1"},
		`{"lines":` + strings.Repeat("[", 20_000) + `}`:  {Pointer: "#/lines/0", Detail: "it is to be an object"},
		`{"` + strings.Repeat("long", 100) + `":1}`:      {Pointer: "#/" + strings.Repeat("long", 50)[:199] + "...", Detail: "there is no such field; names are exact, upper and lower case count"},
		`{"account":"ada","cents":` + strings.Repeat("9", 1000) + `}`: {Pointer: "#/cents", Detail: strings.Repeat("9", 40) + " is out of range, it is to be a whole number of 32 bits"},
	} {
		problem := told(t, post(s, "account.deposit", body), http.StatusBadRequest, httpapi.TypeMalformed)
		if assert.Len(t, problem.Errors, 1, "%.80s", body) {
			assert.Equal(t, want, problem.Errors[0], "%.80s", body)
		}
	}
	assert.Zero(t, s.head(t), "nothing was appended")
}

func TestABodyIsReadAsEncodingJSONWritesIt(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	for _, body := range []string{
		`{"account":"ada","cents":1}`,
		" {\n\t\"cents\" : 1, \"account\":\"\\u0061da\", \"Note\":null, \"lines\": null } \r\n",
		`{"account":"ada","cents":1,"Note":"x","lines":[{"Quantity":255},{}]}`,
	} {
		receiptOf(t, post(s, "account.deposit", body))
	}
	assert.EqualValues(t, 3, s.head(t))
}

func TestABodyOfAnotherKindIsRefused(t *testing.T) {
	s := newService(httpapi.Options{BodyBytes: 40}, nil)
	const path, body = "/commands/account.deposit", `{"account":"ada","cents":1}`
	for name, c := range map[string]struct {
		status  int
		kind    string
		body    string
		headers []string
	}{
		"no type":               {415, httpapi.TypeMediaType, body, nil},
		"text":                  {415, httpapi.TypeMediaType, body, []string{"Content-Type: text/plain"}},
		"a form":                {415, httpapi.TypeMediaType, body, []string{"Content-Type: application/x-www-form-urlencoded"}},
		"two types":             {415, httpapi.TypeMediaType, body, []string{"Content-Type: application/json", "Content-Type: text/plain"}},
		"a broken type":         {415, httpapi.TypeMediaType, body, []string{"Content-Type: application/json; charset"}},
		"another character set": {415, httpapi.TypeMediaType, body, []string{"Content-Type: application/json; charset=utf-16"}},
		"compressed":            {415, httpapi.TypeMediaType, body, []string{"Content-Type: application/json", "Content-Encoding: gzip"}},
		"too large":             {413, httpapi.TypeTooLarge, body + strings.Repeat(" ", 14), []string{"Content-Type: application/json"}},
		"empty":                 {400, httpapi.TypeMalformed, "", []string{"Content-Type: application/json"}},
	} {
		told(t, do(s, http.MethodPost, path, c.body, c.headers...), c.status, c.kind)
		assert.Zero(t, s.head(t), name)
	}
	receiptOf(t, do(s, http.MethodPost, path, body+strings.Repeat(" ", 13), "Content-Type: Application/JSON;charset=UTF-8"))
}

func TestACommandHasNoParameters(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	told(t, post(s, "account.deposit?cents=5", `{"account":"ada","cents":1}`), http.StatusBadRequest, httpapi.TypeMalformed)
	assert.Zero(t, s.head(t))
}

func TestABodyOfUnknownLengthIsCutOffAtTheLimit(t *testing.T) {
	s := newService(httpapi.Options{BodyBytes: 10}, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/commands/account.deposit", &endless{})
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	w := recorded(s, r)
	told(t, w, http.StatusRequestEntityTooLarge, httpapi.TypeTooLarge)
}

// endless is a body without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 1<<20 {
		panic("the limit does not hold")
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestATypeThatCannotBeReadIsFoundAtTheStart(t *testing.T) {
	type Twice struct {
		A int `json:"B"`
		B int
	}
	type Nested struct{ Lines []map[string]*Twice }
	type Embedded struct{ Twice }
	type BadTag struct {
		In struct {
			A int `json:"a'b"` //nolint:staticcheck // it is the case
		}
	}
	type Hidden struct{ In [1]struct{ a int } }
	type Channel struct{ In struct{ Done chan int } }
	type Interface struct{ In []error }
	type Quoted struct {
		In []int `json:",string"` //nolint:staticcheck // it is the case
	}
	for want, register := range map[string]func(bus *command.Bus){
		`Go struct fields A and B conflict over JSON object name "B"`: takes[Twice],
		`conflict over JSON object name "B"`:                          takes[Nested],
		`A and B conflict over JSON object name "B"`:                  takes[Embedded],
		"Go struct field A has malformed `json` tag":                  takes[BadTag],
		"Go struct has no exported fields":                            takes[Hidden],
		"Channel.In.Done is a chan int, which JSON cannot hold":       takes[Channel],
		"field In of httpapi_test.Quoted has the tag option string":   takes[Quoted],
		"Interface.In[] is an error, an interface":                    takes[Interface],
	} {
		bus := command.NewBus()
		register(bus)
		assert.ErrorContains(t, panicked(func() { httpapi.Commands(bus, httpapi.Options{}) }), want)
		assert.NoError(t, panicked(func() { httpapi.Commands(bus, httpapi.Options{Names: []string{"fine"}}) }), "it is not served")
	}
	assert.PanicsWithValue(t, `httpapi: Options.Names has "once", and the bus does not; register every handler first`, func() {
		httpapi.Commands(command.NewBus(), httpapi.Options{Names: []string{"once"}})
	})
}

func TestWhatATagPutsIntoAStringIsReadStrictly(t *testing.T) {
	type Quoted struct {
		Int   int     `json:",string"`
		Small *int8   `json:",string"`
		Float float64 `json:",string"`
		Bool  bool    `json:",string"`
		Text  string  `json:",string"`
		By    map[int]bool
	}
	var got Quoted
	bus := command.NewBus()
	command.Handle(bus, "quoted", func(_ context.Context, c Quoted) (eventstore.Receipt, error) {
		got = c
		return eventstore.Receipt{}, nil
	})
	h := httpapi.Commands(bus, httpapi.Options{})
	for _, want := range []Quoted{{}, {-7, new(int8(7)), 1.5e300, true, "\"a\nb", map[int]bool{-1: true}}} {
		body, err := json.Marshal(want)
		require.NoError(t, err)
		receiptOf(t, post(h, "quoted", string(body)))
		if want.Small == nil {
			want.By = got.By
		}
		assert.Equal(t, want, got, "as encoding/json writes it")
	}
	for body, want := range map[string]httpapi.FieldError{
		`{"Int":"null"}`:              {Pointer: "#/Int", Detail: "it cannot be null; leave it out or give a value"},
		`{"Small":"null"}`:            {Pointer: "#/Small", Detail: "it cannot be null; leave it out or give a value"},
		`{"Bool":"null"}`:             {Pointer: "#/Bool", Detail: "it cannot be null; leave it out or give a value"},
		`{"Text":"null"}`:             {Pointer: "#/Text", Detail: "it cannot be null; leave it out or give a value"},
		`{"Int":"01"}`:                {Pointer: "#/Int", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"Int":"+1"}`:                {Pointer: "#/Int", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"Int":"1 "}`:                {Pointer: "#/Int", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"Small":"128"}`:             {Pointer: "#/Small", Detail: "128 is out of range, it is to be a whole number of 8 bits"},
		`{"Float":"NaN"}`:             {Pointer: "#/Float", Detail: "it is to be a number in a string"},
		`{"Float":"0x1p3"}`:           {Pointer: "#/Float", Detail: "it is to be a number in a string"},
		`{"Float":1}`:                 {Pointer: "#/Float", Detail: "it is to be a number in a string"},
		`{"Bool":true}`:               {Pointer: "#/Bool", Detail: "it is to be true or false in a string"},
		`{"Text":"x"}`:                {Pointer: "#/Text", Detail: "it is to be a string in a string"},
		`{"By":{"01":true}}`:          {Pointer: "#/By/01", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"By":{"+1":true}}`:          {Pointer: "#/By/+1", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"By":{"-0":true,"0":true}}`: {Pointer: "#/By/0", Detail: "it is given twice"},
	} {
		problem := told(t, post(h, "quoted", body), http.StatusBadRequest, httpapi.TypeMalformed)
		if assert.Len(t, problem.Errors, 1, body) {
			assert.Equal(t, want, problem.Errors[0], body)
		}
	}
}

func takes[C any](bus *command.Bus) {
	command.Handle(bus, "fine", handled[struct{}])
	command.Handle(bus, "c", handled[C])
}

// panicked returns what the function panics with.
func panicked(call func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	call()
	return nil
}

func TestANumberThatKeepsItsDigitsIsANumber(t *testing.T) {
	type Exact struct {
		Price  json.Number
		Maybe  *json.Number
		Quoted json.Number `json:",string"`
		Int    int64       `json:",string"`
		By     map[json.Number]json.Number
	}
	var got Exact
	bus := command.NewBus()
	command.Handle(bus, "exact", func(_ context.Context, c Exact) (eventstore.Receipt, error) {
		got = c
		return eventstore.Receipt{}, nil
	})
	h := httpapi.Commands(bus, httpapi.Options{})
	receiptOf(t, post(h, "exact", `{"Price":12345678901234567890.10,"Maybe":-0e-7,"Quoted":"1","By":{"x":1}}`))
	maybe := json.Number("-0e-7")
	assert.Equal(t, Exact{"12345678901234567890.10", &maybe, "1", 0, map[json.Number]json.Number{"x": "1"}}, got)
	for body, want := range map[string]httpapi.FieldError{
		`{"Price":"1"}`:      {Pointer: "#/Price", Detail: "it is to be a number"},
		`{"Price":true}`:     {Pointer: "#/Price", Detail: "it is to be a number"},
		`{"Price":{}}`:       {Pointer: "#/Price", Detail: "it is to be a number"},
		`{"Price":null}`:     {Pointer: "#/Price", Detail: "it cannot be null; leave it out or give a value"},
		`{"Price":01}`:       {Pointer: "#", Detail: "invalid character '1' after object value (expecting ',' or '}'), at byte 10"},
		`{"Maybe":"1"}`:      {Pointer: "#/Maybe", Detail: "it is to be a number"},
		`{"Int":1}`:          {Pointer: "#/Int", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"Int":"x"}`:        {Pointer: "#/Int", Detail: "it is to be a whole number of 64 bits in a string"},
		`{"Quoted":1}`:       {Pointer: "#/Quoted", Detail: "it is to be a number in a string"},
		`{"Quoted":" 1"}`:    {Pointer: "#/Quoted", Detail: "it is to be a number in a string"},
		`{"Quoted":"1e"}`:    {Pointer: "#/Quoted", Detail: "it is to be a number in a string"},
		`{"By":{"x":"1"}}`:   {Pointer: "#/By/x", Detail: "it is to be a number"},
		`{"By":{"1":[1,2]}}`: {Pointer: "#/By/1", Detail: "it is to be a number"},
	} {
		problem := told(t, post(h, "exact", body), http.StatusBadRequest, httpapi.TypeMalformed)
		if assert.Len(t, problem.Errors, 1, body) {
			assert.Equal(t, want, problem.Errors[0], body)
		}
	}
}
