package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// errNoPostgres reports a host without the programs of PostgreSQL.
var errNoPostgres = errors.New("PostgreSQL is not installed: initdb and postgres are missing")

// unprivileged is who PostgreSQL runs as if this program is root's, which PostgreSQL refuses.
const unprivileged = 65534

// startPostgres starts a PostgreSQL of its own, with an empty database and the settings that it has
// by itself, which can be reached by a socket alone. stop ends it, and removes what it stored.
func startPostgres(ctx context.Context) (store string, stop func(), err error) {
	initdb, postgres := postgresProgram("initdb"), postgresProgram("postgres")
	if initdb == "" || postgres == "" {
		return "", nil, errNoPostgres
	}
	dir, err := os.MkdirTemp("", "mailseal-intake-")
	if err != nil {
		return "", nil, err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, unprivileged, unprivileged); err != nil {
			return "", nil, err
		}
	}
	data := filepath.Join(dir, "data")
	made := asServer(exec.CommandContext(ctx, initdb, "-D", data, "-U", "mailseal", "-A", "trust",
		"-E", "UTF8",
		"--locale=C"))
	if out, err := made.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	server := asServer(exec.Command(postgres, "-D", data, "-k", dir, "-h", ""))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", nil, err
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = server.Process.Signal(syscall.SIGINT) // it ends without waiting for its clients
		_ = server.Wait()
		os.RemoveAll(dir)
	}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		said, err := os.ReadFile(log.Name())
		if strings.Contains(string(said), "ready to accept connections") {
			return "postgres://mailseal@/postgres?host=" + dir, stop, nil
		}
		if err != nil || time.Now().After(limit) {
			stop()
			return "", nil, fmt.Errorf("PostgreSQL does not start (%v): %s", err, said)
		}
	}
}

// postgresProgram finds a program of PostgreSQL, which Debian does not put on the path; "" if it is
// not there.
func postgresProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// asServer has a command run as PostgreSQL can.
func asServer(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		user := &syscall.Credential{Uid: unprivileged, Gid: unprivileged}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	}
	return cmd
}

// kindOf names the kind of a store.
func kindOf(store string) string {
	if strings.HasPrefix(store, "sqlite:") {
		return "SQLite"
	}
	return "PostgreSQL"
}
