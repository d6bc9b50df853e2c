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

# await COMMAND...: until it succeeds, at most two minutes.
await() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	return 1
}
