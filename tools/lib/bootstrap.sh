# Sourced by the scripts of tools/: finds a Python, makes a virtual environment, installs the project into it.
# Needs only a POSIX system with bash, git and Python 3.11 or later.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Prints the help of a tool with options of its own and ends, if that is asked for; any Python does.
help_if_asked() {
    local argument
    for argument in "$@"; do
        case $argument in
            --) return ;;
            -h | --help)
                exec "${PYTHON:-python3}" "$ROOT/tools/lib/tool_options.py" "$(basename "$0")" ;;
        esac
    done
}

# Prints the command of a usable Python. $PYTHON, when set, is the only candidate.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
                die "$candidate has no venv module; install it first (Debian, Ubuntu: apt-get install python3-venv)"
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "Python 3.11 or later is needed and none was found${PYTHON:+ at $PYTHON}; set PYTHON to its command"
}

# with_progress WHAT LOG COMMAND...: runs the command with its output in LOG, prints a line now and then,
# and shows the end of LOG if the command fails.
with_progress() {
    local what=$1 log=$2 started=$SECONDS pid status=0
    shift 2
    printf '%s ...\n' "$what"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        if (((SECONDS - started) % 15 == 0 && SECONDS > started)); then
            printf '  still at it after %d s\n' "$((SECONDS - started))"
        fi
    done
    wait "$pid" || status=$?
    trap - INT TERM
    if ((status != 0)); then
        tail -n 30 "$log" >&2
        die "$what failed (exit status $status); the whole output is in $log"
    fi
    printf '  done in %d s\n' "$((SECONDS - started))"
}

# ensure_venv DIR STAMP PIP-ARGUMENTS...: makes DIR a virtual environment with these packages, unless one
# with the same stamp is there already. Stale or half-made environments are made anew; not while another
# tool works in them: each holds a shared lock on DIR.lock until it ends.
ensure_venv() {
    local venv=$1 stamp=$2 python
    shift 2
    python=$(find_python) || exit 1
    stamp="$ROOT $("$python" --version) $* $stamp"
    exec 9>"$venv.lock"
    lock_venv "$python" LOCK_SH
    if is_made "$venv" "$stamp"; then
        return
    fi
    lock_venv "$python" 'LOCK_EX | fcntl.LOCK_NB' ||
        { printf 'Waiting for the other tools that use %s ...\n' "$(basename "$venv")"
          lock_venv "$python" LOCK_EX; }
    if ! is_made "$venv" "$stamp"; then
        make_venv "$venv" "$python" "$@"
        printf '%s\n' "$stamp" >"$venv/installed"
    fi
    lock_venv "$python" LOCK_SH
}

# The lock belongs to the open file, so it stays with this shell, and with the command that replaces it.
lock_venv() {
    "$1" -c "import fcntl; fcntl.flock(9, fcntl.$2)" 2>/dev/null
}

is_made() {
    [ -x "$1/bin/python" ] && [ "$(cat "$1/installed" 2>/dev/null)" = "$2" ]
}

make_venv() {
    local venv=$1 python=$2
    shift 2
    mkdir -p "$venv"
    rm -f "$venv/installed"
    with_progress "Making a virtual environment in $(basename "$venv")" "$venv.log" \
        "$python" -m venv --clear "$venv"
    with_progress "Installing the project and what it needs" "$venv.log" \
        "$venv/bin/python" -m pip install --disable-pip-version-check "$@"
    rm -f "$venv.log"
}

# A number that changes when what is packaged changes: a file's content for declarations only, or all sources.
declarations_stamp() {
    (cd "$ROOT" && cat setup.cfg setup.py pyproject.toml | cksum)
}

sources_stamp() {
    (cd "$ROOT" && { cat setup.cfg setup.py pyproject.toml
        find mistral mistral_lib -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort; } | cksum)
}
