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
# The version, here and nowhere else; CHANGELOG.md begins with it.
VERSION  = 0.2.0
FUZZTIME = 30s

all: build

# The plain build is static: no C compiler, no library of the host.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o $(BIN) ./cmd/mailseal

# The fast build: RSA by the host's OpenSSL, which needs a C compiler here and glibc there. "mailseal version" says which
# build it is, and what signs.
RELEASE = bin/mailseal-release
release:
	CGO_ENABLED=1 $(GO) build -trimpath -tags openssl -ldflags '-s -w -X main.release=$(VERSION)' -o $(RELEASE) ./cmd/mailseal

# A key, a configuration, a DNS server and the daemon under var/; one message out and one in; then it serves until
# Ctrl-C, and prints where the pages of reports are.
run: build
	$(BIN) demo --dir var --serve

# The same, and stops after the messages: exit status 0 only if the signature verified.
demo: build
	$(BIN) demo --dir var

# Installs the programs in bin/, and builds nothing: root needs no Go. The paths in every file are those of PREFIX and
# SYSCONFDIR. An existing configuration is never overwritten: the sample is then installed beside it.
PATHS = PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' SYSUSERS='$(SYSUSERS)' MANDIR='$(MANDIR)' \
	DATADIR='$(DATADIR)' DESTDIR='$(DESTDIR)' BIN='$(BIN)' RELEASE='$(RELEASE)'
install:
	$(PATHS) contrib/install.sh install

# Removes the files that install wrote. The configuration, keys and state stay.
uninstall:
	$(PATHS) contrib/install.sh uninstall

# .deb and .rpm under var/packages, for amd64 and arm64; those that use OpenSSL where there is a C compiler for them.
packages:
	contrib/packages/build.sh $(VERSION) var/packages

# Tests the packages in a fresh Debian: installed, upgraded, changed for each other, removed. It takes root.
test-packages:
	contrib/packages/test.sh

# The container from contrib/packages/Containerfile, with buildah, podman or docker.
container:
	contrib/packages/container.sh $(VERSION) var/container

# The sources as one file, which builds without git.
dist:
	mkdir -p var/dist
	git archive --prefix=mailseal-$(VERSION)/ HEAD | gzip -9n >var/dist/mailseal-$(VERSION).tar.gz

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

# The Go benchmarks of the hot paths, and Mailseal beside Debian's OpenDKIM; contrib/bench/RESULTS.md is written again.
# At the end it adds how long the pages of reports take over five million records. It takes about twelve minutes, five of them
# for the pages; "make bench BENCH=quick" less than two, without profiles, memory, starts, Go benchmarks and pages. The release build
# takes part if there is a C compiler, OpenDMARC for root alone, and Debian's rspamd where it has been fetched or with
# RSPAMD=yes, which fetches it.
QUICK = $(filter quick,$(BENCH))
HOT = ./milter/message ./milter/dkim ./milter/sign ./milter/verify ./milter/authres ./milter/guard ./milter ./milter/report/intake
bench: build
	contrib/test/fetch.sh opendkim opendmarc $(if $(RSPAMD),rspamd)
	if command -v "$$($(GO) env CC)" >/dev/null; then $(MAKE) -s release; fi
	mkdir -p var
	$(if $(QUICK),,$(GO) test -run '^$$' -bench . -benchmem -benchtime 50ms $(HOT) >var/benchmarks.txt || { cat var/benchmarks.txt; exit 1; })
	CGO_ENABLED=0 $(GO) build -o var/compare ./contrib/bench/compare
	if [ -e $(RELEASE) ]; then CGO_ENABLED=1 $(GO) build -tags openssl -o var/compare-release ./contrib/bench/compare; fi
	var/compare -mailseal $(BIN) -release $(RELEASE) -release-crypto var/compare-release $(if $(QUICK),,-benchmarks var/benchmarks.txt) \
		-out contrib/bench/RESULTS.md $(if $(RSPAMD)$(wildcard .root/rspamd),-rspamd .root/rspamd) $(if $(QUICK),-quick) $(BENCHFLAGS)
	$(if $(QUICK),,CGO_ENABLED=0 $(GO) run ./contrib/bench/pages -out contrib/bench/RESULTS.md)

# How long honest mail takes while strangers attack the lookups, beside the quiet figures; "make bench" does it as well.
bench-attack: build
	$(GO) run ./contrib/bench/compare -mailseal $(BIN) -only attack $(if $(QUICK),-quick) $(BENCHFLAGS)

# What a message costs as bodies, headers, signatures, connections and keys grow; contrib/bench/GROWTH.md and its
# pictures are made again. It takes about five minutes.
bench-growth: build
	$(GO) run ./contrib/bench/growth -mailseal $(BIN) -out contrib/bench $(BENCHFLAGS)

# The message that costs most for its size, for each method; contrib/bench/DEAREST.md is made again. It takes about ten
# minutes; BENCHFLAGS="-only ARC -count 500" searches one method for longer, and writes no file.
bench-dearest: build
	$(GO) run ./contrib/bench/dearest -mailseal $(BIN) -out contrib/bench/DEAREST.md $(BENCHFLAGS)

# How long the pages of reports take over five million records, of 500 and 10,000 domains, and over PostgreSQL
# (make fetch); contrib/bench/PAGES.md is written again. It takes about half an hour, a single one
# "go run ./contrib/bench/pages" with its flags.
PAGES = contrib/bench/PAGES.md
bench-pages:
	printf '# How long the pages of reports take\n\nMade by `make bench-pages`; do not edit.\n' > $(PAGES)
	CGO_ENABLED=0 $(GO) run ./contrib/bench/pages -out $(PAGES) $(BENCHFLAGS)
	CGO_ENABLED=0 $(GO) run ./contrib/bench/pages -out $(PAGES) -domains 500 -days 90 -receivers 8 -records 1800000 -rounds 3
	CGO_ENABLED=0 $(GO) run ./contrib/bench/pages -out $(PAGES) -domains 10000 -days 30 -receivers 3 -records 1800000 -rounds 3
	MAILSEAL_PAGES=$(CURDIR)/$(PAGES) $(GO) test ./contrib/bench/pages -run Postgres -count=1 -timeout 60m

# What it costs to count ten million messages for reports; contrib/bench/FOLD.md is written again. It takes some five
# minutes; BENCHFLAGS="-messages 1000000" plays a smaller day.
bench-fold:
	CGO_ENABLED=0 $(GO) run ./contrib/bench/fold -out contrib/bench/FOLD.md $(BENCHFLAGS)

# How long an import of five million records takes, and the largest report; contrib/bench/INTAKE.md is written again.
# The same for 200,000 records over a PostgreSQL that is started for it, where one is installed. It takes about twenty
# minutes. BENCHFLAGS="-records 200000 -days 15" is a smaller one; -store measures a store of yours alone.
bench-intake: build
	CGO_ENABLED=0 $(GO) run ./contrib/bench/intake -mailseal $(BIN) -out contrib/bench/INTAKE.md $(BENCHFLAGS)

# Honest and hostile mail at once while everything fails that can, for SOAK; the table is in var/soak.txt.
SOAK = 20m
soak:
	mkdir -p var
	MAILSEAL_SOAK=$(SOAK) MAILSEAL_SOAK_OUT=$(CURDIR)/var/soak.txt $(GO) test -v -timeout 2h -run TestLongSoak ./contrib/test/e2e

# The pictures of the README, by a real browser; look at the changes.
pictures:
	contrib/test/fetch.sh browser
	MAILSEAL_PICTURES=$(CURDIR)/contrib/pictures $(GO) test -count=1 -run TestPictures ./milter/report/web

# Every fuzz target in turn, for FUZZTIME each.
fuzz:
	contrib/test/fuzz.sh $(FUZZTIME) $(PACKAGES)

clean:
	rm -rf bin var

.PHONY: pictures packages test-packages container dist all build release run demo install uninstall check test test-all fetch bench bench-attack bench-growth bench-dearest bench-pages bench-intake bench-fold soak fuzz clean
