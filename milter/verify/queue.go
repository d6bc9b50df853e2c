package verify

import "sync"

// queue runs methods one after the other in the caller's goroutine: what most mail asks is
// remembered, and a goroutine for each method would cost more than the method. As soon as one has
// to wait for the DNS, those that have not begun go on beside it, so that none waits for the names
// of another.
type queue struct {
	run     func(m method, beforeWait func())
	mu      sync.Mutex
	methods []method // that have not begun
	beside  sync.WaitGroup
}

// runAll runs the methods and returns when all have ended. Run is given each method, and what the
// method has to call before it waits.
func runAll(methods []method, run func(m method, beforeWait func())) {
	q := &queue{run: run}
	for _, m := range methods {
		if m.apart {
			q.beside.Go(func() { run(m, func() {}) })
		} else {
			q.methods = append(q.methods, m)
		}
	}
	q.work()
	q.beside.Wait()
}

// work runs methods until none is left.
func (q *queue) work() {
	for m, ok := q.next(); ok; m, ok = q.next() {
		q.run(m, q.goOn)
	}
}

func (q *queue) next() (m method, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.methods) == 0 {
		return m, false
	}
	m, q.methods = q.methods[0], q.methods[1:]
	return m, true
}

// goOn has another goroutine run the methods that are left. One that is running has not been waited
// for, since it will ask for the next one: WaitGroup.Go is allowed.
func (q *queue) goOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.methods) > 0 {
		q.beside.Go(q.work)
	}
}
