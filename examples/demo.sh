#!/bin/sh
# `make demo`: deploys the example site under a scratch folder, three revisions of it, and shows what happens.
# Needs nothing but agentctl on PATH; leaves nothing behind. Ends with 0 only when everything went as it says.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX")
server=
trap 'clean_up' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

clean_up() {
	if [ -n "$server" ]; then
		kill "$server"
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}

title() {
	printf '\n== %s\n' "$*"
}

# Show a command as an operator would type it, then run it.
run() {
	printf '\n$ %s\n' "$*"
	"$@"
}

# The same for a command that has to fail.
run_failing() {
	printf '\n$ %s\n' "$*"
	if "$@"; then
		echo "demo: this should have failed" >&2
		exit 1
	fi
	echo "(it failed, as it should)"
}

serve() {
	agent_python=$(dirname "$(command -v agentctl)")/python
	"$agent_python" -u -m http.server --bind 127.0.0.1 --directory "$site" 0 >"$scratch/server.log" 2>&1 &
	server=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		port=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$scratch/server.log")
		[ -z "$port" ] || return 0
		sleep 0.2
	done
	echo "demo: the web server did not start" >&2
	exit 1
}

# Fetch the front page and insist on a text in it.
expect_page() {
	printf '\n$ GET http://127.0.0.1:%s/\n' "$port"
	"$agent_python" -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode(), end="")' \
		"http://127.0.0.1:$port/" >"$scratch/page"
	grep '<h1>' "$scratch/page"
	if ! grep -qF "$1" "$scratch/page"; then
		echo "demo: the page should have said '$1'" >&2
		exit 1
	fi
}

root=$scratch/deployment-root
site=$scratch/www
for revision in 1 2 3; do
	examples/build-site "$revision" "$site" "$scratch/site-$revision.tgz"
done

title "The first revision is deployed"
run agentctl run-local --root-dir "$root" -g hello -t tgz -l "$scratch/site-1.tgz"
run ls -l "$site"
serve
expect_page 'Hello, revision 1'

title "The same bundle once more: nothing to do"
run agentctl run-local --root-dir "$root" -g hello -t tgz -l "$scratch/site-1.tgz"

title "The second revision: one page new, one changed, one gone"
run agentctl run-local --root-dir "$root" -g hello -t tgz -l "$scratch/site-2.tgz"
run ls -l "$site"
expect_page 'Hello, revision 2'

title "The third is broken: a hook script finds it out, and the site stays as it is"
run_failing agentctl run-local --root-dir "$root" -g hello -t tgz -l "$scratch/site-3.tgz"
expect_page 'Hello, revision 2'

title "What happened, and what is there now"
run agentctl list --root-dir "$root"
run agentctl show last --root-dir "$root"
run agentctl verify hello --root-dir "$root"

title "All of it went as it should"
