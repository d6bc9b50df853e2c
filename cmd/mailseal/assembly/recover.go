package assembly

import "fmt"

// Survive does what must not end the daemon if it has a bug.
func Survive(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return do()
}
