# Mailseal. "make run" shows it at work, "make test" runs everything.

PREFIX     = /usr/local
SYSCONFDIR = /etc
UNITDIR    = $(PREFIX)/lib/systemd/system
SYSUSERS   = $(PREFIX)/lib/sysusers.d
MANDIR     = $(PREFIX)/share/man
DATADIR    = $(PREFIX)/share/mailseal
DESTDIR    =

GO       = go
BIN      = bin/mailseal
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
FUZZTIME = 30s

all: build

# The plain build is static: no C compiler, no library of the host.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o $(BIN) ./cmd/mailseal

# The fast build: RSA by the host's OpenSSL, which needs a C compiler here and glibc there, and optimised by the profile
# of "make bench". "mailseal version" says which build it is, and what signs.
RELEASE = bin/mailseal-release
PROFILE = contrib/bench/default.pgo
release:
	CGO_ENABLED=1 $(GO) build -trimpath -tags openssl -pgo=$(PROFILE) -ldflags '-s -w -X main.release=$(VERSION)' -o $(RELEASE) ./cmd/mailseal

# A key, a configuration, a DNS server and the daemon under var/; one message out and one in; then it serves until Ctrl-C.
run: build
	$(BIN) demo --dir var --serve

# The same, and stops after the messages: exit status 0 only if the signature verified.
demo: build
	$(BIN) demo --dir var

# An existing configuration is never overwritten: the sample then lands beside it.
install: build
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/sbin/mailseal
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERS) $(DESTDIR)$(SYSCONFDIR)/mailseal
	for unit in contrib/systemd/*.service contrib/systemd/*.socket contrib/systemd/*.timer; do \
		sed 's,/usr/sbin/mailseal,$(PREFIX)/sbin/mailseal,' $$unit >$(DESTDIR)$(UNITDIR)/$${unit##*/} && \
		chmod 0644 $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; \
	done
	install -m 0644 contrib/systemd/sysusers.conf $(DESTDIR)$(SYSUSERS)/mailseal.conf
	for page in contrib/man/*.[1-9]; do \
		[ -e "$$page" ] || continue; \
		install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done
	install -d $(DESTDIR)$(DATADIR)/sql
	install -m 0644 contrib/sql/*.sql $(DESTDIR)$(DATADIR)/sql
	if [ -e $(DESTDIR)$(SYSCONFDIR)/mailseal/mailseal.toml ]; then \
		install -m 0644 contrib/mailseal.toml $(DESTDIR)$(SYSCONFDIR)/mailseal/mailseal.toml.sample; \
	else \
		install -m 0644 contrib/mailseal.toml $(DESTDIR)$(SYSCONFDIR)/mailseal/mailseal.toml; \
	fi

# Before every commit, in less than a minute: format, vet, staticcheck, the other systems, unit tests.
PACKAGES = ./...
check:
	contrib/test/check.sh $(PACKAGES)

# All of "make check", then the race detector, and end to end on real MTAs (PACKAGES=./milter/... for less).
test:
	contrib/test/test.sh $(PACKAGES)

# All of "make test", and what takes an hour or more: contrib/test/test.sh lists it.
test-all:
	contrib/test/test.sh -all $(PACKAGES)

# The Debian packages that the end-to-end tests drive, unpacked under .root/.
fetch:
	contrib/test/fetch.sh

# The Go benchmarks of the hot paths, and Mailseal beside Debian's OpenDKIM; contrib/bench/RESULTS.md is written anew.
# It takes about six minutes. The release build takes part if there is a C compiler; "make bench RSPAMD=yes" measures
# Debian's rspamd beside them, BENCHFLAGS="-rounds 1" is quicker and rougher.
HOT = ./milter/message ./milter/dkim ./milter/sign ./milter/verify ./milter/authres ./milter/guard ./milter
bench: build
	contrib/test/fetch.sh opendkim $(if $(RSPAMD),rspamd)
	if command -v "$$($(GO) env CC)" >/dev/null; then $(MAKE) -s release; fi
	mkdir -p var
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 100ms $(HOT) >var/benchmarks.txt || { cat var/benchmarks.txt; exit 1; }
	CGO_ENABLED=0 $(GO) build -o var/compare ./contrib/bench/compare
	if [ -e $(RELEASE) ]; then CGO_ENABLED=1 $(GO) build -tags openssl -o var/compare-release ./contrib/bench/compare; fi
	var/compare -mailseal $(BIN) -release $(RELEASE) -release-crypto var/compare-release -benchmarks var/benchmarks.txt \
		-out contrib/bench/RESULTS.md $(if $(RSPAMD),-rspamd .root/rspamd) $(BENCHFLAGS)

# What a message costs as bodies, headers, signatures, connections and keys grow; contrib/bench/GROWTH.md and its
# pictures are made anew. It takes about five minutes.
bench-growth: build
	$(GO) run ./contrib/bench/growth -mailseal $(BIN) -out contrib/bench $(BENCHFLAGS)

# The profile by which the compiler optimises (go help build, -pgo), from the jobs of "make bench".
profile: build
	$(GO) run ./contrib/bench/compare -mailseal $(BIN) -profile $(PROFILE)

# Honest and hostile mail at once while everything fails that can, for SOAK; the table is in var/soak.txt.
SOAK = 20m
soak:
	mkdir -p var
	MAILSEAL_SOAK=$(SOAK) MAILSEAL_SOAK_OUT=$(CURDIR)/var/soak.txt $(GO) test -v -timeout 2h -run TestLongSoak ./contrib/test/e2e

# Every fuzz target in turn, for FUZZTIME each.
fuzz:
	contrib/test/fuzz.sh $(FUZZTIME) $(PACKAGES)

clean:
	rm -rf bin var

.PHONY: all build release profile run demo install check test test-all fetch bench bench-growth soak fuzz clean
