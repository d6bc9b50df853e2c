package verify

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

func named(names ...string) (all []method) {
	for _, n := range names {
		all = append(all, method{name: n})
	}
	return all
}

// TestQueueInOrder runs methods that never wait: one goroutine is enough, in the order of the list.
func TestQueueInOrder(t *testing.T) {
	var ran []string
	runAll(named("a", "b", "c"), func(m method, _ func()) { ran = append(ran, m.name) })
	if !slices.Equal(ran, []string{"a", "b", "c"}) {
		t.Errorf("ran %v", ran)
	}
}

// TestQueueNoMethods returns at once.
func TestQueueNoMethods(t *testing.T) {
	runAll(nil, func(m method, _ func()) { t.Errorf("ran %v", m) })
}

// TestQueueGoesOn has every method wait until all have begun, as many as announce it: a queue that
// held one back would never end.
func TestQueueGoesOn(t *testing.T) {
	for n := 1; n <= 5; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var begun sync.WaitGroup
			begun.Add(n)
			var mu sync.Mutex
			var ran []string
			all := named("a", "b", "c", "d", "e")[:n]
			runAll(all, func(m method, beforeWait func()) {
				begun.Done()
				beforeWait()
				begun.Wait()
				mu.Lock()
				defer mu.Unlock()
				ran = append(ran, m.name)
			})
			slices.Sort(ran)
			if !slices.Equal(ran, []string{"a", "b", "c", "d", "e"}[:n]) {
				t.Errorf("ran %v", ran)
			}
		})
	}
}

// TestQueueApart has a method wait for one behind it without announcing that: it has a goroutine of
// its own.
func TestQueueApart(t *testing.T) {
	all := named("arc", "dkim")
	all[0].apart = true
	dkim := make(chan struct{})
	runAll(all, func(m method, _ func()) {
		if m.name == "dkim" {
			close(dkim)
		}
		<-dkim
	})
}
