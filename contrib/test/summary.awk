# Reads "go test -v ./..." and prints what a reader wants: a line per package that passed, of a package that failed all that
# its tests said which did not pass, and at the end which tests were skipped, grouped by reason (not with -v skips=no), and how many passed.

function flush_failed(  i) {
	for (i = 0; i < n; i++) if (!(whose[i] in fine)) print kept[i]
}

function forget() {
	n = 0
	current = ""
	delete kept
	delete whose
	delete said
	delete fine
}

# The test of which it is a part.
function top(name) {
	sub(/\/.*/, "", name)
	return name
}

# A skipped test's reason is the last line it logged.
function skipped(name,  why) {
	why = said[name]
	sub(/^[ \t]*[A-Za-z0-9_]+\.go:[0-9]+: /, "", why)
	if (!(why in count)) order[reasons++] = why
	if (count[why]++ < 3) names[why] = names[why] (names[why] == "" ? "" : ", ") name
}

BEGIN { forget() }

/^=== (RUN|CONT|NAME) / { current = $3; next }
/^=== PAUSE / { next }
/^[ \t]*--- SKIP: / { skipped($3); fine[$3]; total["skipped"]++; next }
/^[ \t]*--- PASS: / { fine[$3]; total["passed"]++; next }
/^[ \t]*--- FAIL: / { total["failed"]++; failing++ }
/^PASS$/ { next }
/^\?  / { forget(); next }
/^ok  / { print; fflush(); forget(); next }
/^FAIL\t/ {
	if (!failing) total["failed"]++ # it did not build, or a panic or time-out ended it
	failing = 0
	flush_failed()
	print
	fflush()
	forget()
	next
}
{
	whose[n] = top(/^[ \t]*--- FAIL: / ? $3 : current)
	kept[n++] = $0
	said[current] = $0
}

END {
	flush_failed()
	if (reasons && skips != "no") {
		print ""
		print "skipped:"
		for (i = 0; i < reasons; i++) {
			why = order[i]
			more = count[why] > 3 ? " and " count[why] - 3 " more" : ""
			print "  " why ": " names[why] more
		}
	}
	printf "%d passed, %d failed, %d skipped\n", total["passed"], total["failed"], total["skipped"]
}
