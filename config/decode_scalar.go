package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"time"
)

// isScalar reports whether a type is a single value of the file.
func isScalar(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[netip.AddrPort]():
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64, reflect.Uint32,
		reflect.Uint8:
		return true
	}
	return false
}

// scalar fills a single value.
func (d *decoder) scalar(at place, doc string, v any, to reflect.Value) {
	s := settingAt(doc)
	if s == nil {
		s = &setting{}
	}
	ok, err := setScalar(d.file, s, v, to)
	if ok && err == nil {
		err = s.inBounds(to)
	}
	switch {
	case err != nil:
		d.problem(at, "%s", err)
	case !ok:
		d.problem(at, "expected %s such as %s, got %s", withArticle(typeName(to.Type(), s)),
			exampleOf(s, to.Type()), describe(v))
	}
}

// setScalar returns false when the value is of another TOML type than wanted.
func setScalar(f *file, s *setting, v any, to reflect.Value) (bool, error) {
	text, isText := v.(string)
	number, isNumber := v.(int64)
	if c, ok := to.Addr().Interface().(choice); ok {
		return isText, setChoice(s, isText, text, to.Type(), c)
	}
	switch to.Interface().(type) {
	case time.Duration:
		return parsed(isText, text, to, parseDuration)
	case Size:
		if isNumber && number >= 0 {
			to.SetInt(number)
			return true, nil
		}
		return parsed(isText, text, to, parseSize)
	case netip.Prefix:
		return parsed(isText, text, to, parseNetwork)
	case netip.AddrPort:
		return parsed(isText, text, to, parseServer)
	case fs.FileMode:
		return parsed(isText, text, to, parseMode)
	}
	switch to.Kind() {
	case reflect.String:
		return isText, setText(f, s, isText, text, to)
	case reflect.Bool:
		b, ok := v.(bool)
		to.SetBool(b)
		return ok, nil
	case reflect.Int:
		to.SetInt(number)
		return isNumber, nil
	}
	return setFloat(v, to)
}

func parsed[T any](isText bool, text string, to reflect.Value, parse func(string) (T, error)) (bool,
	error) {
	if !isText {
		return false, nil
	}
	v, err := parse(text)
	if err == nil {
		to.Set(reflect.ValueOf(v))
	}
	return true, err
}

func setText(f *file, s *setting, isText bool, text string, to reflect.Value) error {
	if !isText {
		return nil
	}
	if text == "" {
		return fmt.Errorf("is empty; write %s such as %s, or leave the setting out",
			withArticle(typeName(to.Type(), s)), exampleOf(s, to.Type()))
	}
	if s.values != nil {
		if err := oneOf(text, s.values); err != nil {
			return err
		}
	}
	if parse := forms[s.form].parse; parse != nil {
		var err error
		if text, err = parse(f, text); err != nil {
			return err
		}
	}
	to.SetString(text)
	return nil
}

func setFloat(v any, to reflect.Value) (bool, error) {
	switch v := v.(type) {
	case float64:
		to.SetFloat(v)
	case int64:
		to.SetFloat(float64(v))
	default:
		return false, nil
	}
	if x := to.Float(); !(x >= 0 && x <= 1) {
		return true, fmt.Errorf("%v is not between 0 and 1", v)
	}
	return true, nil
}

// inBounds holds durations, sizes and numbers to the bounds that the tables of settings name.
func (s *setting) inBounds(v reflect.Value) error {
	for _, bound := range []struct {
		text string
		off  func(v, bound int64) bool
		says string
		end  string
	}{
		{s.least, func(v, bound int64) bool { return v < bound }, "less than", "smallest"},
		{s.most, func(v, bound int64) bool { return v > bound }, "more than", "largest"},
	} {
		if bound.text == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if _, err := setScalar(nil, s, literal(bound.text), limit); err != nil {
			return err
		}
		if bound.off(v.Int(), limit.Int()) {
			return fmt.Errorf("is %s %s, the %s value allowed", bound.says, bound.text, bound.end)
		}
	}
	return nil
}
