package reporting

import (
	"os"
	"runtime/debug"
)

// memoryLimit is what the garbage collector keeps the process below, unless GOMEMLIMIT says
// otherwise. The unit allows 256 MB: SQLite, whose memory the collector does not see, has the rest.
const memoryLimit = 90 << 20

// LimitMemory sets the limit.
func LimitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
