# What tests of the command line share, for bash to source: a folder of its own for each test, and
# checks that are counted.
#
# example: . "$(dirname "$0")/check.sh"
#          status 2 "did you mean 'compile'" compil
#          finish "command line"
#
# contract: goes to the root of the repository; sets net2c, folder (new and empty) and TMPDIR (in
# it). The last command's output stands in $folder/out and $folder/err.
# Environment: NET2C, NET2C_TEST_DIR.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
net2c=${NET2C:-build/net2c}
folder=${NET2C_TEST_DIR:-build/$(basename "$0" .sh)}
checks=0 failures=0
rm -rf "$folder"
mkdir -p "$folder/tmp"
: >"$folder/err"
export TMPDIR=$folder/tmp NO_COLOR=1

fail() {
    failures=$((failures + 1))
    echo "FAIL: $1"
    sed 's/^/    /' "$folder/err"
}

# status STATUS PATTERN ARGUMENTS...: exit status, and a pattern that stderr has to contain.
status() {
    local want=$1 pattern=$2
    shift 2
    "$net2c" "$@" >"$folder/out" 2>"$folder/err" </dev/null
    local got=$?
    checks=$((checks + 1))
    [ $got -eq "$want" ] || fail "status $got instead of $want: net2c $*"
    [ -n "$pattern" ] || return 0
    checks=$((checks + 1))
    grep -q -- "$pattern" "$folder/err" || fail "no '$pattern' in the messages of: net2c $*"
}

# prints PATTERN: the last command's stdout contains it.
prints() {
    checks=$((checks + 1))
    grep -q -- "$1" "$folder/out" || fail "no '$1' in the output"
}

# holds COMMAND...: it succeeds.
holds() {
    checks=$((checks + 1))
    "$@" || fail "$*"
}

# judge PYTHON: an expression over `root`, the JSON of the last command.
judge() {
    checks=$((checks + 1))
    python3 -c '
import json, sys
root = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$folder/out" "$1" || fail "not so: $1"
}

# finish TITLE: nothing stays in the temporary folder; sums up, with the test's exit status.
finish() {
    : >"$folder/err"
    holds [ -z "$(ls -A "$TMPDIR")" ]
    echo "$1: $checks checks, $failures failures"
    [ $failures -eq 0 ]
}
