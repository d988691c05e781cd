# SPDX-License-Identifier: MIT
# Sourced by ./demo and ./check: steps with a log each and a short line for the user.

logs=build/logs
mkdir -p "$logs"
# An empty line rewrites itself on a terminal only.
if [ -t 1 ]; then clear_line=$'\r\033[K'; else clear_line=; fi

# step NAME TITLE COMMAND...: runs it with its output in build/logs/NAME.log; returns its exit code and
# leaves the seconds it took in $step_seconds. On failure the log's end is shown.
step() {
    local name=$1 title=$2 from=$SECONDS rc=0
    shift 2
    [ -z "$clear_line" ] || printf '%s ...' "$title"
    "$@" >"$logs/$name.log" 2>&1 </dev/null || rc=$?
    step_seconds=$((SECONDS - from))
    if [ "$rc" = 0 ]; then
        printf '%s%s: done (%d s)\n' "$clear_line" "$title" "$step_seconds"
    else
        printf '%s%s: FAILED (exit code %d); the end of %s:\n' "$clear_line" "$title" "$rc" "$logs/$name.log"
        tail -n 25 "$logs/$name.log" | sed 's/^/    | /'
    fi
    return "$rc"
}
