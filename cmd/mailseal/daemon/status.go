package daemon

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/control"
)

// maxListed bounds each list of an answer that another party may fill: MTAs' addresses, and
// sources.
const maxListed = 200

// status is how the daemon is. Metrics show the same numbers, made from this very value.
func (d *Daemon) status() *control.Running {
	p := d.parts.Load()
	return &control.Running{
		Version:     d.version,
		PID:         os.Getpid(),
		Started:     d.started,
		Config:      d.file,
		ConfigSince: *d.since.Load(),
		Listeners:   d.server.Listening(),
		MTAs:        d.mtas(),
		Today:       d.metrics.today.counts(),
		Keys:        d.keysStatus(p),
		Sources:     sourcesStatus(p),
		NameServers: d.nameServers(),
		Log:         d.memory.log(),
		Jobs:        d.jobsStatus(),
	}
}

func (d *Daemon) mtas() []control.MTA {
	out := []control.MTA{}
	for _, p := range d.server.Peers() {
		if len(out) == maxListed {
			break
		}
		out = append(out, control.MTA{
			Listener: p.Listener, Peer: p.Address, Connections: p.Connections, Busy: p.Busy,
		})
	}
	return out
}

// keysStatus is what the last pass of the watch found, and before the first what the configuration
// names.
func (d *Daemon) keysStatus(p *assembly.Parts) control.Keys {
	last := d.watcher.Last()
	out := control.Keys{
		Watched: p.Config.Signs() && p.Config.Rotation.Watch > 0,
		Asked:   last.At,
		Good:    last.Count["good"],
		Bad:     last.Count["bad"],
		Unknown: last.Count["unknown"],
		List:    []control.Key{},
	}
	files := keyFiles(p)
	for _, k := range last.Keys {
		made := k.Made
		if made.IsZero() {
			made = modified(files[k.Name])
		}
		out.List = append(out.List, control.Key{
			Name: k.Name, Made: made, DNS: k.Shown, Reason: shorten(k.Why), Stage: string(k.Stage),
		})
	}
	if !last.At.IsZero() {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(out.List) == maxListed {
			break
		}
		out.List = append(out.List, control.Key{Name: name, Made: modified(files[name]),
			DNS: "not queried yet"})
	}
	return out
}

// keyFiles are the files of the key table, by the names of the keys' records.
func keyFiles(p *assembly.Parts) map[string]string {
	out := map[string]string{}
	for _, k := range p.Config.Keys {
		if k.Selector != "" && k.Domain != "" && k.Domain != "%" {
			out[k.Selector+"._domainkey."+k.Domain] = k.File
		}
	}
	return out
}

// modified is when a file was written, zero when that cannot be found out.
func modified(path string) time.Time {
	if path == "" {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func sourcesStatus(p *assembly.Parts) []control.Source {
	out := []control.Source{}
	for _, name := range slices.Sorted(maps.Keys(p.Sources)) {
		if len(out) == maxListed {
			break
		}
		s := p.Sources[name]
		out = append(out, control.Source{
			Name:     name,
			Away:     s.IsAway(),
			Entries:  s.Len(),
			Bytes:    s.Bytes(),
			Hits:     s.Counters.Hits.Load(),
			Misses:   s.Counters.Misses.Load(),
			Failures: s.Counters.Failures.Load(),
			Broken:   s.Broken(),
		})
	}
	return out
}

func (d *Daemon) nameServers() []control.NameServer {
	out := []control.NameServer{}
	client := d.metrics.client.Load()
	if client == nil {
		return out
	}
	for _, s := range client.Servers() {
		out = append(out, control.NameServer{
			Address: s.Address,
			Queries: s.Queries,
			Silent:  s.Silent,
			MeanMS:  float64(s.Mean.Round(10*time.Microsecond)) / float64(time.Millisecond),
			Dead:    s.Dead,
		})
	}
	return out
}

func (d *Daemon) jobsStatus() []control.Job {
	out := []control.Job{}
	if d.jobs == nil {
		return out
	}
	for _, j := range d.Jobs() {
		job := control.Job{Name: j.Name, Running: j.Running, Last: j.Last, Next: j.Next}
		if j.Err != nil {
			job.Error = cmp.Or(shorten(j.Err.Error()), "it failed")
		}
		out = append(out, job)
	}
	return out
}
