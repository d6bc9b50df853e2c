# What trials inside a machine share (machines.sh); sourced by them.
passed=0
failed=0

# say WHAT...: a line, after the name of the trial.
say() { echo "$trial: $*"; }

# check WHAT COMMAND...
check() {
	local what=$1
	shift
	if "$@" >/root/check.log 2>&1; then
		passed=$((passed + 1))
		say "ok: $what"
	else
		failed=$((failed + 1))
		say "FAILED: $what"
		{ echo "--- $what"; tail -n 40 /root/check.log; } >&2
	fi
}

# fails COMMAND...: succeeds where the command does not.
fails() { ! "$@"; }

# host DOMAIN...: the host as its owner has it: a name, an address of the internet's, a user, and a
# mail server ($mta) that takes mail for the domains and runs.
host() {
	ip link set lo up
	ip address add 198.51.100.1/32 dev lo
	echo mail.example.com >/etc/hostname
	hostname mail.example.com
	echo "198.51.100.1 mail.example.com mail" >>/etc/hosts
	useradd --create-home alice
	if [ "$mta" = postfix ]; then
		postconf -e myhostname=mail.example.com "mydestination=mail.example.com $* localhost"
		systemctl restart postfix
		return
	fi
	printf '%s\n' "$@" >>/etc/mail/local-host-names
	# Listen beyond loopback, as an MX does.
	sed -i 's/, Addr=127.0.0.1//' /etc/mail/sendmail.mc
	# It closes its port while the load of the host, whoever makes it, is above 12 for each processor.
	sed -i "s/^MAILER_DEFINITIONS/define(\`confREFUSE_LA', \`10000')dnl\ndefine(\`confQUEUE_LA', \`10000')dnl\n&/" /etc/mail/sendmail.mc
	grep -q confREFUSE_LA /etc/mail/sendmail.mc
	make -C /etc/mail sendmail.cf >/dev/null 2>&1
	systemctl restart sendmail
}

# serve_zone: a name server, so that records can be published: those of the host and of a stranger, and those on
# standard input.
serve_zone() {
	cat - >/root/zone.more
	cat - /root/zone.more >/root/zone <<'END'
$ORIGIN .
example.com. 60 IN NS ns.example.com.
example.com. 60 IN MX 10 mail.example.com.
mail.example.com. 60 IN A 198.51.100.1
ns.example.com. 60 IN A 127.0.0.1
1.100.51.198.in-addr.arpa. 60 IN PTR mail.example.com.
other.example. 60 IN A 198.51.100.1
other.example. 60 IN TXT "v=spf1 ip4:198.51.100.1 -all"
END
	echo nameserver 127.0.0.1 >/etc/resolv.conf
	/root/zone-server /root/zone 127.0.0.1:53 >/root/zone.out 2>&1 &
	until grep -q ready /root/zone.out; do sleep 0.1; done
}

# install_program: what "make install" runs; this host need not have make.
install_program() {
	env PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR= BIN=bin/mailseal RELEASE=bin/mailseal-release UNITDIR=/usr/local/lib/systemd/system \
		SYSUSERS=/usr/local/lib/sysusers.d MANDIR=/usr/local/share/man DATADIR=/usr/local/share/mailseal sh contrib/install.sh install &&
		systemctl daemon-reload
}

# smtp ADDRESS SENDER RECIPIENT SUBJECT: a message over SMTP. Addresses of loopback are in the mail server's networks.
smtp() {
	exec 3<>"/dev/tcp/$1/25" || return 1
	local line
	read -r -t 60 line <&3
	for line in "EHLO client.example" "MAIL FROM:<$2>" "RCPT TO:<$3>" DATA; do
		printf '%s\r\n' "$line" >&3
		while read -r -t 60 reply <&3 && [ "${reply:3:1}" = - ]; do :; done
		case $reply in [23]*) ;; *) echo "$line: $reply"; return 1 ;; esac
	done
	printf 'From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Mon, 4 May 2026 12:00:00 +0000\r\nMessage-ID: <%s@x.example>\r\n\r\nHello.\r\n.\r\n' \
		"$2" "$3" "$4" "$4" >&3
	read -r -t 60 reply <&3
	printf 'QUIT\r\n' >&3
	exec 3>&-
	case $reply in 250*) ;; *) echo "end: $reply"; return 1 ;; esac
}

# await COMMAND...: until it succeeds, at most two minutes.
await() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	return 1
}
