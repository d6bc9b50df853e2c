#!/bin/sh
# Unpacks the Debian packages that the end-to-end tests drive into private roots, one per group:
#
#	contrib/test/fetch.sh [-u] [GROUP...]
#
#	postfix  sendmail  opendkim  opendmarc  python  postgresql  mariadb  reports  acl  browser  dns   (default: all of them)
#	rspamd                                                          (for "make bench RSPAMD=yes" alone)
#
# Nothing is installed: packages are downloaded with "apt-get download" and unpacked with "dpkg -x" under .root/, so a
# mail server of the host's own is never touched, and no right beyond network access to the Debian mirror is needed.
# Dependencies are apt's own answer for a machine on which nothing is installed; what maintainer scripts alone need is
# left out. A group that is there already is left as it is; -u fetches anew when the archive has newer versions.
#
# Exit status: 0 all groups are there, 1 some are not (why is on standard error; the tests skip with the same words).
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
root=$top/.root
script_version=1

# Packages of a group that are asked for by name; their libraries follow.
seeds() {
	case $1 in
	postfix) echo "postfix dash" ;;
	sendmail) echo "sendmail-bin sendmail-cf sendmail-base m4 sasl2-bin libsasl2-modules dash coreutils" ;;
	opendkim) echo "opendkim opendkim-tools" ;;
	opendmarc) echo "opendmarc" ;;
	python) echo "python3-dkim python3-nacl python3-spf" ;;
	postgresql) echo "postgresql-15 dash coreutils" ;;
	mariadb) echo "mariadb-server-core" ;;
	reports) echo "libxml2-utils dmarc-cat" ;;
	acl) echo "acl" ;;
	browser) echo "chromium-headless-shell fonts-dejavu-core lynx" ;;
	dns) echo "unbound bind9-utils" ;;
	rspamd) echo "rspamd" ;;
	*) echo "fetch: no group called $1" >&2; return 2 ;;
	esac
}

# What only installation itself needs: a private root is unpacked, never configured.
needless='^(adduser|libllvm.*|libz3-.*|postgresql-client-common|postgresql-common|libjson-perl|ca-certificates|cpio|debconf|dpkg|e2fsprogs|gcc-.*-base|init-system-helpers|logsave|lsb-base|make|passwd|perl.*|libperl.*|lib(file-find-rule|number-compare|text-glob)-perl|libext2fs2.*|libss2|openssl|procps|ssl-cert|sysvinit-utils|tar|usrmerge|usr-is-merged)$'

say() { echo "fetch: $*" >&2; }

# apt works on the host's lists when they are there (no download at all), else on lists of our own.
own_lists=
lists_problem= # why the mirror's lists cannot be read
apt_options() {
	echo "-qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o APT::Sandbox::User=root -o Dir::State::status=/dev/null -o Debug::NoLocking=1"
	if [ -n "$own_lists" ]; then
		echo "-o Dir::State=$root/apt/state -o Dir::Cache=$root/apt/cache"
	else
		echo "-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
	fi
}

update_lists() {
	[ -z "$own_lists" ] || return 1
	own_lists=yes
	mkdir -p "$root/apt/state/lists/partial" "$root/apt/cache/archives/partial"
	say "reading the package lists of the Debian mirror"
	apt-get $(apt_options) update >"$root/apt/update.log" 2>&1 || true
	lists_problem=$(grep -m 1 '^[EW]:' "$root/apt/update.log" || true)
}

# resolve GROUP prints name=version of everything the group needs.
resolve() {
	apt-get $(apt_options) -s --no-install-recommends install $(seeds "$1") 2>"$root/apt/resolve.log" |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' |
		awk -F= -v needless="$needless" '{ sub(/:.*/, "", $1) } $1 !~ needless { print $1 "=" $2 }' | sort
}

download() { # in the current directory
	apt-get $(apt_options) download $(cat wanted) >"$root/apt/download.log" 2>&1
}

# Debian's packages have merged /usr: the links that base-files would bring.
skeleton() {
	mkdir -p "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$1/$d"; done
}

unpack() { # DIRECTORY WITH .deb FILES, TARGET
	rm -rf "$2.new"
	skeleton "$2.new"
	for deb in "$1"/*.deb; do
		dpkg --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$2.new" \
			--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale \
			--exclude=./usr/share/lintian --exclude=./usr/share/doc-base
	done
	rm -rf "$2"
	mv "$2.new" "$2"
}

# fetch GROUP: 0 there, 1 not, with the reason in the file $root/GROUP.missing.
fetch() {
	stamp=$root/$1.stamp
	want_head="fetch $script_version: $(seeds "$1")"
	if [ -z "$update" ] && [ -d "$root/$1" ] && [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$want_head" ]; then
		return 0
	fi
	packages=$(resolve "$1")
	if [ -z "$packages" ]; then
		update_lists || true
		packages=$(resolve "$1")
	fi
	if [ -z "$packages" ]; then
		missing "$1" "${lists_problem:-$(tail -n 1 "$root/apt/resolve.log")}"
		return 1
	fi
	if [ -d "$root/$1" ] && [ "$want_head
$packages" = "$(cat "$stamp" 2>/dev/null)" ]; then
		return 0
	fi
	debs=$root/apt/debs-$1
	rm -rf "$debs"
	mkdir -p "$debs"
	cd "$debs"
	echo "$packages" >wanted
	if ! download; then
		update_lists && resolve "$1" >wanted
		if ! download; then
			cd "$top"
			missing "$1" "${lists_problem:-$(grep -m 1 '^[EW]:' "$root/apt/download.log" || echo "see $root/apt/download.log")}"
			return 1
		fi
	fi
	cd "$top"
	unpack "$debs" "$root/$1"
	{ echo "$want_head"; cat "$debs/wanted"; } >"$stamp"
	rm -rf "$debs" "$root/$1.missing"
	wrap "$1"
	say "$1: $(sed -n "s/^$(seeds "$1" | cut -d' ' -f1)=/version /p" "$stamp"), $(du -sh "$root/$1" | cut -f1)"
}

# tool GROUP PROGRAM makes .root/tools/PROGRAM, which runs with the loader and libraries that it was unpacked with.
tool() {
	cat >"$root/tools/$2" <<END
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../$1" && pwd)
for library in "\$root"/usr/lib/*-linux-gnu; do triplet=\${library##*/}; done
for loader in "\$root"/lib*/ld-linux*.so.*; do :; done
exec "\$loader" --library-path "\$root/usr/lib/\$triplet:\$root/lib/\$triplet" "\$root/usr/bin/$2" "\$@"
END
	chmod +x "$root/tools/$2"
}

# beside GROUP PROGRAM PATH makes .root/tools/PROGRAM for a program that looks for its files beside itself: it runs with the
# libraries, fonts and settings that it was unpacked with, but with the loader of the host.
beside() {
	cat >"$root/tools/$2" <<END
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../$1" && pwd)
for library in "\$root"/usr/lib/*-linux-gnu; do triplet=\${library##*/}; done
export LD_LIBRARY_PATH="\$root/usr/lib/\$triplet:\$root/lib/\$triplet"
export FONTCONFIG_SYSROOT="\$root" LYNX_CFG="\$root/etc/lynx/lynx.cfg"
exec "\$root/$3" "\$@"
END
	chmod +x "$root/tools/$2"
}

# wrap makes .root/tools/python3, the Python of the group of that name, which has dkimpy and pyspf: it runs where it was
# unpacked, with its own loader and libraries. Tests look for it in PATH.
# For the group reports it makes .root/tools/xmllint, which is asked whether reports have the form of RFC 9990's schema; for
# acl .root/tools/setfacl, which remedies of "mailseal check" are made of; for browser Chromium and lynx, which look at the
# pages of the reports.
wrap() {
	mkdir -p "$root/tools"
	case $1 in
	reports) tool reports xmllint ;;
	acl) tool acl setfacl ;;
	browser)
		beside browser chromium usr/lib/chromium/chromium-headless-shell
		beside browser lynx usr/bin/lynx
		;;
	esac
	[ "$1" = python ] || return 0
	cat >"$root/tools/python3" <<'END'
#!/bin/sh
root=$(cd "$(dirname "$0")/../python" && pwd)
set -- "$root/usr/bin/python3" "$@"
for library in "$root"/usr/lib/*-linux-gnu; do triplet=${library##*/}; done
for loader in "$root"/lib*/ld-linux*.so.*; do :; done
PYTHONHOME=$root/usr PYTHONPATH=$root/usr/lib/python3/dist-packages exec "$loader" \
	--library-path "$root/usr/lib/$triplet:$root/lib/$triplet" "$@"
END
	chmod +x "$root/tools/python3"
}

missing() {
	echo "$2" >"$root/$1.missing"
	say "$1 is missing: $2"
}

update=
if [ "${1:-}" = -u ]; then
	update=yes
	shift
fi
[ $# -gt 0 ] || set -- postfix sendmail opendkim opendmarc python postgresql mariadb reports acl browser dns
for tool in apt-get dpkg tar; do
	if ! command -v "$tool" >/dev/null; then
		say "no $tool here: the end-to-end tests need a Debian"
		exit 1
	fi
done
mkdir -p "$root/apt"
find "$root" -maxdepth 1 -name 'run-*' -mmin +120 -exec rm -rf {} + # of tests that were killed
status=0
for group; do
	seeds "$group" >/dev/null
	fetch "$group" || status=1
done
exit $status
