// Command zone serves a zone file as a name server, for tests: zone FILE ADDRESS. It reads the file
// again when that has changed, and prints "ready" once it serves.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"time"

	"mailseal/milter/dns/dnstest"
)

// lookEvery is how often the file is looked at.
const lookEvery = 100 * time.Millisecond

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: zone FILE ADDRESS")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "zone:", err)
		os.Exit(1)
	}
}

func serve(file, address string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	zone, err := dnstest.Load(bytes.NewReader(text))
	if err != nil {
		return err
	}
	server, err := dnstest.Serve(zone, address)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		now, err := os.ReadFile(file)
		if err != nil || bytes.Equal(now, text) {
			continue // it is being replaced
		}
		next, err := dnstest.Load(bytes.NewReader(now))
		if err != nil {
			continue // half of it has been written
		}
		text = now
		zone.Replace(next)
	}
}
