# Makes the virtual environment in .venv when it is missing or out of date. Sourced by the scripts beside this folder.
#
#   ensure_environment run    what the product needs, the embedded replica included
#   ensure_environment dev    the same and the tools for tests and linting
#
# Versions come from requirements/*.lock, with hashes. A stamp remembers what was installed, so that a second run is quick.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=${CANISTER_FACTORY_VENV:-$ROOT/.venv}

# A script that sources this ends with one line, and as shells expect; what it hands over to with exec does so itself.
end_with_a_line() {
  trap 'echo "Interrupted." >&2; exit 130' INT
  trap 'echo "Terminated." >&2; exit 143' TERM
}
end_with_a_line

# Packages with compiled parts (pyblst, wasmtime, ...) have builds for these; the locks are tried with each of them.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.11, 3.12 or 3.13 is needed and none was found; install one, or set PYTHON to one" >&2
  return 1
}

stamp_for() {
  cat "$ROOT/requirements/$1.lock" "$ROOT/pyproject.toml" | sha256sum | cut -d' ' -f1
}

is_ready() {
  [ -x "$VENV/bin/python" ] && [ ! -e "$VENV/.unfinished" ] && [ -e "$VENV/.installed-$1-$(stamp_for "$1")" ]
}

# Runs a command whose output is only of interest when it fails.
quietly() {
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
    return
  fi
  cat "$log" >&2
  rm -f "$log"
  return 1
}

# The locks are complete: `--no-deps` keeps pip from resolving anything anew (it does for `package[extra]`, even beside a
# pin), and `pip check` says so if one isn't. What builds this project is in them too, so nothing unpinned is fetched.
pip_locked() {
  quietly "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    -r "$ROOT/requirements/$1.lock"
}

ensure_environment() {
  # The dev environment holds everything that the run environment does.
  if is_ready "$1" || { [ "$1" = run ] && is_ready dev; }; then return; fi
  trap 'exit 130' INT # the set-up says the line
  trap 'exit 143' TERM
  (set_up_environment "$1")
  end_with_a_line
}

set_up_environment() {
  local kind=$1 python started=$SECONDS
  trap 'echo "Interrupted; the next run begins the set-up anew." >&2; exit 130' INT
  trap 'echo "Terminated; the next run begins the set-up anew." >&2; exit 143' TERM
  # Of two scripts that begin at the same time one does the work; without flock(1) they must not.
  if command -v flock >/dev/null; then
    exec 9>"$ROOT/.venv-lock"
    flock 9
    if is_ready "$kind"; then return; fi
  fi
  if [ ! -x "$VENV/bin/python" ] || [ -e "$VENV/.unfinished" ]; then
    python=$(find_python)
    echo "Making a virtual environment in $(basename "$VENV") ..." >&2
    mkdir -p "$VENV"
    touch "$VENV/.unfinished"
    # `--clear` removes the mark of an earlier attempt, and everything else that it left.
    quietly "$python" -m venv --clear "$VENV" || { echo "error: the virtual environment could not be made (see above)" >&2; return 1; }
  fi
  # Whatever stops this, even a lost machine: half an installation is never taken for a whole one.
  touch "$VENV/.unfinished"
  echo "Installing the packages that requirements/$kind.lock pins (once; about a minute) ..." >&2
  if ! { pip_locked "$kind" &&
    quietly "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
      --editable "$ROOT" &&
    quietly "$VENV/bin/python" -m pip check --disable-pip-version-check; }; then
    echo "error: the packages could not be installed (see above); the next run tries again" >&2
    return 1
  fi
  rm -f "$VENV"/.installed-"$kind"-*
  touch "$VENV/.installed-$kind-$(stamp_for "$kind")"
  rm -f "$VENV/.unfinished"
  echo "The environment is ready after $((SECONDS - started)) s." >&2
}
