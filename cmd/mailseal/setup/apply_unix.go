package setup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"mailseal/keys/files"
)

// chownLike gives a file the owner and group of another.
func chownLike(path string, like os.FileInfo) error {
	sys, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(sys.Uid), int(sys.Gid))
}

// hangUp sends SIGHUP to the process that the first of some pid files names: Sendmail then starts
// itself again.
func hangUp(paths ...string) error {
	path := first(paths...)
	if path == "" {
		return errors.New("no process of Sendmail is running; start it")
	}
	text, err := files.Read(path, 4096)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid < 2 {
		return fmt.Errorf("%s does not contain a process ID", path)
	}
	return syscall.Kill(pid, syscall.SIGHUP)
}
