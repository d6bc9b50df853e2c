#!/bin/bash
# Inside a Debian that systemd has booted (machine.sh): trial.sh postfix|sendmail. Mailseal's packages are in /packages/old
# and /packages/new. They are installed, set up by "mailseal setup", upgraded, exchanged, downgraded, removed and purged
# while local programs send mail all the time, and at last installed by the lines of README.md as they stand there. Prints
# a line for each check; the last one has the counts.
set -uo pipefail
mta=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
box=/var/mail/rcpt
stranger=203.0.113.25 # an address of this machine that is not one of ours
trial=$mta
. /root/inside.sh

install() { dpkg -i --force-confold --force-downgrade "$@"; }
common() { echo /packages/"$1"/mailseal-common_*.deb; }
static() { echo /packages/"$1"/mailseal_*.deb; }
fast() { echo /packages/"$1"/mailseal-openssl_*.deb; }

letter() { printf 'From: user@example.com\nTo: rcpt@mx.example.com\nSubject: %s\n\nText.\n' "$1"; }
send() { letter "$1" | sendmail -i -f user@example.com rcpt@mx.example.com; }

# Mail from elsewhere, over SMTP.
stranger() { # SUBJECT
	local line=
	exec 3<>/dev/tcp/$stranger/25 || return 1
	read -r line <&3
	for say in "HELO elsewhere.example.net" "MAIL FROM:<a@elsewhere.example.net>" "RCPT TO:<rcpt@mx.example.com>" DATA \
		$'From: a@elsewhere.example.net\r\nTo: rcpt@mx.example.com\r\nSubject: '"$1"$'\r\n\r\nText.\r\n.' QUIT; do
		printf '%s\r\n' "$say" >&3
		read -r line <&3
		case $line in [23]*) ;; *) echo "$say: $line"; exec 3>&-; return 1 ;; esac
	done
	exec 3>&-
}

# What was delivered: with a subject that begins so, of these the signed ones, and the judged ones.
delivered() { grep -c "^Subject: $1" $box || true; }
signed() { awk -v want="^Subject: $1" '/^From /{s=0} /^DKIM-Signature:/{s=1} $0 ~ want && s {n++} END{print n+0}' $box; }
judged() { awk -v want="^Subject: $1" '/^From /{s=0} /^Authentication-Results:/{s=1} $0 ~ want && s {n++} END{print n+0}' $box; }
flush() { if [ "$mta" = postfix ]; then postqueue -f; else sendmail-msp -q; sendmail -q; sendmail -Ac -q; fi; }
has() { [ "$("$1" "$2")" = "$3" ]; }

# While this goes on, mail is sent and the listener is asked; both note what failed.
begin() { # SUBJECT
	: >/root/sending
	: >/root/sent
	: >/root/refused
	(
		n=0
		while [ -e /root/sending ]; do
			n=$((n + 1))
			send "$1 $n" && echo $n >>/root/sent
			sleep 0.05
		done
	) &
	sender=$!
	(
		while [ -e /root/sending ]; do
			(exec 4<>/dev/tcp/127.0.0.1/8891) 2>/dev/null || echo refused >>/root/refused
			sleep 0.02
		done
	) &
	asker=$!
}
end() { # SUBJECT
	rm /root/sending
	wait $sender $asker
	flush >/dev/null 2>&1
	count=$(wc -l </root/sent)
	await has delivered "$1" "$count"
	flush >/dev/null 2>&1
	check "$1: $count sent, none lost, none twice" has delivered "$1" "$count"
	check "$1: none unsigned" has signed "$1" "$count"
	check "$1: the listener was always there" sh -c '! [ -s /root/refused ] || { wc -l </root/refused; false; }'
}

configure_postfix() {
	postconf -e myhostname=mx.example.com mydestination=mx.example.com,localhost inet_interfaces=all inet_protocols=ipv4 \
		mynetworks=127.0.0.0/8 queue_run_delay=5s minimal_backoff_time=5s maximal_backoff_time=5s alias_maps= alias_database=
	systemctl restart postfix
}

configure_sendmail() {
	{
		echo "define(\`confDOMAIN_NAME', \`mx.example.com')dnl"
		echo "define(\`confMIN_QUEUE_AGE', \`0')dnl"
		echo "FEATURE(\`nocanonify')dnl"
		echo "FEATURE(\`accept_unresolvable_domains')dnl"
		echo "DAEMON_OPTIONS(\`Family=inet, Name=MTA, Port=smtp')dnl"
	} >/root/lines
	sed -i -e '/^DAEMON_OPTIONS/d' -e '/^FEATURE(.no_default_msa/d' /etc/mail/sendmail.mc
	sed -i "1,/^MAILER_DEFINITIONS/{
		/^MAILER_DEFINITIONS/{
			e cat /root/lines
		}
	}" /etc/mail/sendmail.mc
	sed -i "s/^FEATURE(.msp.*/FEATURE(\`msp', \`[127.0.0.1]', \`25')dnl/" /etc/mail/submit.mc
	printf 'hosts files\naliases files\npasswd files\n' >/etc/mail/service.switch
	echo mx.example.com >>/etc/mail/local-host-names
	yes '' | sendmailconfig
	systemctl restart sendmail
}

ip address add $stranger/32 dev lo
ip link set lo up
hostname mx.example.com
echo "127.0.0.1 mx.example.com mx localhost" >/etc/hosts
id rcpt >/dev/null 2>&1 || useradd rcpt
rm -f $box
touch $box
chown rcpt:mail $box
chmod 660 $box

check "install" install "$(common old)" "$(static old)"
check "the socket is open" systemctl is-active mailseal.socket
"configure_$mta" >/root/configure.log 2>&1 || tail /root/configure.log
# The records are nobody's to publish here: 1 is for what is left, and only that.
settled() {
	mailseal setup --yes --apply --selector t --authserv-id mx.example.com example.com || [ $? = 1 ]
}
check "setup --yes" settled
check "the daemon runs" systemctl is-active mailseal.service

send "first"
check "mail of ours is delivered" await has signed first 1
check "mail of others is accepted" stranger "stranger"
check "and judged" await has judged stranger 1

begin "upgrade"
check "upgrade" install "$(common new)" "$(static new)"
check "the new version serves" sh -c "mailseal version | grep -q '$(mailseal version | head -1)' && systemctl is-active mailseal.service"
check "the OpenSSL build" install "$(fast new)"
check "it serves" sh -c 'mailseal version | grep -q "RSA signatures: OpenSSL" && systemctl is-active mailseal.service'
check "and the static build again" dpkg --purge mailseal-openssl
check "which serves" sh -c 'mailseal version | grep -q "RSA signatures: Go" && systemctl is-active mailseal.service'
check "downgrade" install "$(common old)" "$(static old)"
check "upgrade once more" install "$(common new)" "$(static new)"
end "upgrade"

check "remove" dpkg --remove mailseal
check "nothing of it runs" sh -c '! systemctl is-active mailseal.service && ! systemctl is-active mailseal.socket'
send "waits"
check "mail waits meanwhile" has delivered waits 0
check "install again" install "$(static new)"
flush >/dev/null 2>&1
check "what waited is signed" await has signed waits 1

check "purge" dpkg --purge mailseal mailseal-common
check "the configuration is gone, the keys are not" sh -c '! [ -e /etc/mailseal/mailseal.toml ] && ls /var/lib/mailseal/keys/example.com/t.pem'
check "no unit has failed" sh -c '[ -z "$(systemctl list-units --failed --no-legend | grep mailseal)" ]'

# README.md's lines for Debian but the first one, which made the packages.
readme() {
	mkdir -p /root/sources/var
	ln -s /packages/new /root/sources/var/packages
	sed -n '/^make packages .*# Debian/,/^```/p' /root/README.md | grep '^sudo' | sed 's/^sudo //' >/root/lines-of-readme
	[ "$(wc -l </root/lines-of-readme)" = 2 ] || { cat /root/lines-of-readme; return 1; }
	cd /root/sources || return 1
	sh -ex /root/lines-of-readme </dev/null || [ $? = 1 ] # nobody publishes the records here
}
rm -rf /var/lib/mailseal
check "the lines of README.md" readme
check "after them the daemon is ready" sh -c 'mailseal check --no-mta && ls /var/lib/mailseal/keys/example.com/*.pem'
echo "$passed passed, $failed failed"
