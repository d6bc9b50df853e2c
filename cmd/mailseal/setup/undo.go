package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/keys/files"
)

// applied is one thing that --apply did.
type applied struct {
	MTA    string `json:"mta,omitempty"`
	Path   string `json:"path,omitempty"`   // a file of the mail server
	Backup string `json:"backup,omitempty"` // it as it was
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Unit   string `json:"unit,omitempty"` // that was enabled
}

// journal is the file that --undo reads, beside the configuration. Root alone can read it: main.cf
// may hold secrets.
func (r *run) journal() string {
	return filepath.Join(filepath.Dir(r.Config), "setup-applied.json")
}

func (r *run) history() ([]applied, error) {
	text, err := files.Read(r.journal(), 64<<20)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []applied
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", r.journal(), err)
	}
	return out, nil
}

// remember notes one thing for --undo.
func (r *run) remember(a applied) error {
	all, err := r.history()
	if err != nil {
		return err
	}
	return r.keep(append(all, a))
}

func (r *run) keep(all []applied) error {
	if len(all) == 0 {
		return os.Remove(r.journal())
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return replace(r.journal(), append(text, '\n'), 0o600, 0)
}

// undo takes back what --apply did, the last first. Keys and the configuration stay.
func (r *run) undo() error {
	if r.cfgOrDefault(); r.Config == "" {
		return nil
	}
	all, err := r.history()
	if err != nil {
		return answer.NewUnknown(err)
	}
	if len(all) == 0 {
		r.say("There is nothing to undo.\n")
		return nil
	}
	for len(all) > 0 {
		last := all[len(all)-1]
		if err := r.takeBack(last); err != nil {
			return answer.NewBad(err)
		}
		all = all[:len(all)-1]
		if err := r.keep(all); err != nil {
			return answer.NewUnknown(err)
		}
	}
	r.say("Keys and %s stay, since they cannot be created again.\n", r.Config)
	return nil
}

func (r *run) cfgOrDefault() {
	r.cfg = config.Default()
	if c, err := config.LoadAny(r.Config); err == nil {
		r.cfg = c
	}
	r.result.Host.Systemd = exists("/run/systemd/system")
}

func (r *run) takeBack(a applied) error {
	if a.Unit != "" {
		if _, err := r.Run(r.ctx, "systemctl", "disable", "--now", a.Unit); err != nil {
			return err
		}
		r.done("stopped and disabled %s", a.Unit)
		return nil
	}
	now, err := files.Read(a.Path, maxConfig)
	if err != nil {
		return err
	}
	text := a.Before
	if string(now) != a.After {
		if text, err = withdraw(string(now), a); err != nil {
			return err
		}
	}
	info, err := os.Stat(a.Path)
	if err != nil {
		return err
	}
	if err := writeLike(a.Path, []byte(text), info); err != nil {
		return err
	}
	r.done("removed Mailseal from %s", a.Path)
	return r.reloadMTA(a.MTA, filepath.Dir(a.Path))
}

// withdraw takes our lines out of a file that others have changed since: each setting as it was
// before, and what others wrote stays.
func withdraw(now string, a applied) (string, error) {
	if a.MTA != "postfix" {
		return withoutFilter(now, a), nil
	}
	before, after, present := mainCF(a.Before), mainCF(a.After), mainCF(now)
	for name, ours := range after {
		if before[name] == ours {
			continue
		}
		if present[name] != ours {
			return "", fmt.Errorf(
				"%s was changed after setup: %s is now %q, and setup had set it to %q; remove "+
					"Mailseal by hand, then delete the file setup-applied.json beside "+
					"mailseal.toml",
				a.Path,
				name,
				present[name],
				ours,
			)
		}
		if old, was := before[name]; was {
			now = setMainCF(now, setting{name, old})
		} else {
			now = unsetMainCF(now, name)
		}
	}
	return now, nil
}
