package reporting

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// foldRole moves the records of the daemon from the spool into the store.
func foldRole() Role {
	return Role{
		Name: "fold",
		Doc:  "moves the records that the daemon writes from the spool into the store",
		Build: func(_ context.Context, p *Process) (Part, error) {
			return Part{Jobs: append(hostJob(p), jobs.Job{
				Name:     "fold",
				Interval: func() time.Duration { return time.Minute },
				First:    func() time.Duration { return time.Millisecond }, // 0 is never
				Do:       p.Fold,
			})}, nil
		},
	}
}

// How much of the spool is taken at once, in bytes.
const (
	// foldMost is how much is in memory at a time.
	foldMost = 8 << 20

	// foldSmall is how much of a day each partition may have for its segments to be taken as they
	// come. Beyond, they wait until they are half of what the day has: each time the rows of the
	// domains in them are written again.
	foldSmall = 256 << 10
)

// folded is how much of a partition was stored on a day.
type folded struct {
	day   int64
	bytes int64
}

// Fold moves closed segments into the store, a partition at a time, and deletes each once it is
// stored. On a day with much mail some segments wait; those of past days do not.
func (p *Process) Fold(ctx context.Context) error {
	if err := p.expireSpool(); err != nil {
		return err
	}
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	dir := p.Config.Reports.SpoolDirectory
	names, err := spool.Segments(dir)
	if err != nil {
		return err
	}
	p.folding.Lock()
	defer p.folding.Unlock()
	isAll := true
	if s.IsShared() {
		names, isAll = p.dueParts(names)
	}
	var failed error
	for len(names) > 0 {
		partition := spool.PartitionOf(names[0])
		end := 1
		for end < len(names) && spool.PartitionOf(names[end]) == partition {
			end++
		}
		if err := p.foldPartition(ctx, s, dir, names[:end]); err != nil {
			failed = errors.Join(failed, err)
			if isAway(ctx, s) {
				return failed
			}
		}
		names = names[end:]
	}
	if isAll {
		p.lastFold = p.Now()
	}
	return failed
}

// isAway reports whether the store takes nothing at all, after an error that may be of one segment.
func isAway(ctx context.Context, s *store.Store) bool {
	_, err := s.OutFolded(ctx, nil)
	return err != nil
}

// partsEvery is how often a host that shares its store adds to it: the rows of a policy that come
// in one batch are stored together.
const partsEvery = 15 * time.Minute

// dueParts are the segments that are taken now: all of them a quarter of an hour after the last
// time, and those of a day that is over at once.
func (p *Process) dueParts(names []string) (due []string, isAll bool) {
	now := p.Now()
	if now.Sub(p.lastFold) >= partsEvery || now.Before(p.lastFold) {
		return names, true
	}
	today := store.DayStart(store.Day(now))
	for _, name := range names {
		if spool.StartOf(name).Before(today) {
			due = append(due, name)
		}
	}
	return due, false
}

// foldPartition takes the segments of one partition, as many at once as memory allows.
func (p *Process) foldPartition(
	ctx context.Context, s *store.Store, dir string, names []string,
) error {
	sizes, sum := make([]int64, len(names)), int64(0)
	for i, name := range names {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err == nil { // another process may have taken it
			sizes[i] = info.Size()
			sum += sizes[i]
		}
	}
	now := p.Now()
	has := &p.folded[spool.PartitionOf(names[0])]
	if has.day != store.Day(now) {
		*has = folded{day: store.Day(now)}
	}
	isOver := spool.StartOf(names[0]).Before(store.DayStart(has.day))
	if !s.IsShared() && !isOver && has.bytes > foldSmall && sum < min(has.bytes/2, foldMost) {
		return nil
	}
	var failed error
	for len(names) > 0 {
		end, size := 1, sizes[0]
		for end < len(names) && size+sizes[end] <= foldMost {
			size += sizes[end]
			end++
		}
		err := p.foldSegments(ctx, s, dir, names[:end])
		if err != nil && isAway(ctx, s) {
			return errors.Join(failed, err)
		}
		if err != nil && end > 1 { // one that fails does not keep the others
			err = nil
			for _, name := range names[:end] {
				err = errors.Join(err, p.foldSegments(ctx, s, dir, []string{name}))
			}
		}
		failed = errors.Join(failed, err)
		has.bytes += size
		names, sizes = names[end:], sizes[end:]
	}
	return failed
}

// foldSegments takes some segments into the store in one transaction, and deletes them.
func (p *Process) foldSegments(
	ctx context.Context, s *store.Store, dir string, names []string,
) error {
	bases := make([]string, len(names))
	for i, name := range names {
		bases[i] = spool.Base(name)
	}
	known, err := s.OutFolded(ctx, bases)
	if err != nil {
		return err
	}
	batch := store.NewOutBatch()
	var fresh []string
	for i, name := range names {
		if slices.Contains(known, bases[i]) {
			continue
		}
		err := p.readSegment(ctx, filepath.Join(dir, name), batch)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process was faster
		}
		if err != nil {
			return err
		}
		fresh = append(fresh, bases[i])
	}
	if len(fresh) > 0 {
		isNew, err := s.Fold(ctx, fresh, batch, p.Now())
		if err != nil || !isNew {
			return err // not new: another process took some meanwhile; the rest is taken next time
		}
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil &&
			!errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// readSegment adds a segment to a batch. What lies behind damage is lost, and said: to try again
// would not bring it back.
func (p *Process) readSegment(ctx context.Context, path string, batch *store.OutBatch) error {
	err := spool.Read(path, func(r spool.Record) error {
		switch {
		case r.Evaluation != nil:
			batch.Add(r.Evaluation)
		case r.Failing != nil:
			batch.AddFailing(r.Failing)
		case r.Sent != nil:
			batch.Sent(r.Sent)
		default:
			batch.Wrote(r.Wrote, r.Time)
		}
		return ctx.Err()
	})
	if errors.Is(err, spool.ErrCorrupt) {
		p.Log.Error("a file in the spool is damaged: the records after the damage are lost, and "+
			"no report has them. Check the disk",
			"segment", filepath.Base(path))
		return nil
	}
	return err
}
