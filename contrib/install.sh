#!/bin/sh
# What "make install" and "make uninstall" do. Nothing is built: the program that bin/ holds is installed, so that root
# needs no Go. The paths of the program and of the configuration are rewritten in every file that names them.
#
#	contrib/install.sh install|uninstall   (the variables of the Makefile in the environment)
set -eu
cd "$(dirname "$0")/.."

sbin=$PREFIX/sbin
config=$SYSCONFDIR/mailseal

# rewrite FILE: the file as it is for this installation.
rewrite() {
	sed -e "s,/usr/sbin/mailseal,$sbin/mailseal,g" -e "s,/etc/mailseal,$config,g" "$1"
}

# put MODE SOURCE TARGET: installs a file, its paths rewritten; TARGET is without DESTDIR.
put() {
	mkdir -p "$DESTDIR${3%/*}"
	rewrite "$2" >"$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv "$DESTDIR$3.new" "$DESTDIR$3"
}

# files lists what is installed beside the program and the configuration: mode, source, target.
files() {
	for unit in contrib/systemd/*.service contrib/systemd/*.socket contrib/systemd/*.timer; do
		echo "0644 $unit $UNITDIR/${unit##*/}"
	done
	echo "0644 contrib/systemd/sysusers.conf $SYSUSERS/mailseal.conf"
	echo "0644 contrib/systemd/tmpfiles.conf ${SYSUSERS%/*}/tmpfiles.d/mailseal.conf"
	for page in contrib/man/*.[1-9]; do
		echo "0644 $page $MANDIR/man${page##*.}/${page##*/}"
	done
	for file in contrib/sql/*.sql contrib/postfix/* contrib/sendmail/*; do
		echo "0644 $file $DATADIR/${file#contrib/}"
	done
	echo "0755 contrib/qmail/qmail-remote $DATADIR/qmail/qmail-remote"
}

# completions lists the shells that the program writes completions for, and where these look for them.
completions() {
	echo "bash $PREFIX/share/bash-completion/completions/mailseal"
	echo "zsh $PREFIX/share/zsh/site-functions/_mailseal"
	echo "fish $PREFIX/share/fish/vendor_completions.d/mailseal.fish"
}

program() {
	for bin in "$BIN" "$RELEASE"; do
		if [ -f "$bin" ] && [ -x "$bin" ]; then
			echo "$bin"
			return
		fi
	done
	echo "make install: there is no $BIN to install; run \"make build\" first, as a user who has Go (neither $BIN nor $RELEASE exists)" >&2
	exit 1
}

install_all() {
	bin=$(program)
	mkdir -p "$DESTDIR$sbin"
	cp "$bin" "$DESTDIR$sbin/mailseal.new"
	chmod 0755 "$DESTDIR$sbin/mailseal.new"
	mv "$DESTDIR$sbin/mailseal.new" "$DESTDIR$sbin/mailseal" # one that runs is not written to
	files | while read -r mode source target; do
		put "$mode" "$source" "$target"
	done
	completions | while read -r shell target; do
		mkdir -p "$DESTDIR${target%/*}"
		"$DESTDIR$sbin/mailseal" completion "$shell" >"$DESTDIR$target"
		chmod 0644 "$DESTDIR$target"
	done
	# An existing configuration is never overwritten: the sample then lands beside it.
	sample=$config/mailseal.toml
	[ ! -e "$DESTDIR$sample" ] || sample=$sample.sample
	put 0644 contrib/mailseal.toml "$sample"
}

uninstall_all() {
	rm -f "$DESTDIR$sbin/mailseal" "$DESTDIR$config/mailseal.toml.sample"
	files | while read -r _ _ target; do
		rm -f "$DESTDIR$target"
	done
	completions | while read -r _ target; do
		rm -f "$DESTDIR$target"
	done
	if rewrite contrib/mailseal.toml | cmp -s - "$DESTDIR$config/mailseal.toml"; then
		rm -f "$DESTDIR$config/mailseal.toml" # the sample, as it was installed
	fi
	for dir in sql postfix sendmail qmail; do
		rmdir "$DESTDIR$DATADIR/$dir" 2>/dev/null || true
	done
	rmdir "$DESTDIR$DATADIR" "$DESTDIR$config" 2>/dev/null || true
	for left in "$config" /var/lib/mailseal; do
		[ ! -e "$DESTDIR$left" ] || echo "$DESTDIR$left was not removed: it may contain your configuration and keys"
	done
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*)
	echo "usage: contrib/install.sh install|uninstall" >&2
	exit 2
	;;
esac
