package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health is what /healthz says: whether mail is served.
type health struct{ state atomic.Int32 }

// The states of health, in their order.
const (
	starting int32 = iota
	healthy
	leaving
)

func (h *health) set(state int32) { h.state.Store(state) }

// ServeHTTP answers 200 while connections are accepted, else 503, so that a balancer goes elsewhere
// while we drain.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	texts := map[int32]string{starting: "starting\n", healthy: "ok\n", leaving: "stopping\n"}
	state := h.state.Load()
	if state != healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, texts[state]) // the client has gone
}

// metricsHandler serves /metrics and /healthz, and Go's profiles if asked to.
func metricsHandler(m *metrics, h *health, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", h)
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// serveMetrics serves handler on address, host and port, until ctx ends. It returns the address,
// once it can be reached there, or why it cannot.
func serveMetrics(ctx context.Context, address string, handler http.Handler,
	log *slog.Logger) (net.Addr, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics.address: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "error", err)
		}
	}()
	return ln.Addr(), nil
}
