# Makes the virtual environment in .venv when it is missing or out of date. Sourced by the scripts beside this folder.
#
#   ensure_environment run    what the product needs, the embedded replica included
#   ensure_environment dev    the same and the tools for tests and linting
#
# Versions come from requirements/*.lock, with hashes. A stamp remembers what was installed, so that a second run is quick.
# Interrupted it ends with 130; killed at any moment, the next run begins anew.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=${CANISTER_FACTORY_VENV:-$ROOT/.venv}

# A script that sources this ends with one line, and as shells expect; what it hands over to with exec does so itself.
end_with_a_line() {
  trap 'echo "Interrupted." >&2; exit 130' INT
  trap 'echo "Terminated." >&2; exit 143' TERM
}
end_with_a_line

# Packages with compiled parts (pyblst, wasmtime, ...) have builds for these; the locks are tried with each of them.
is_suitable() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    if is_suitable "$PYTHON"; then echo "$PYTHON"; return; fi
    echo "error: PYTHON is $PYTHON, which isn't Python 3.11, 3.12 or 3.13 with the module venv; set it to one, or unset it" >&2
    return 1
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if is_suitable "$candidate"; then echo "$candidate"; return; fi
  done
  echo "error: Python 3.11, 3.12 or 3.13 with the module venv is needed and none was found; install one, or set PYTHON to one" >&2
  return 1
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

stamp_for() {
  cat "$ROOT/requirements/$1.lock" "$ROOT/pyproject.toml" | sha256
}

# Python may have been replaced by another version since, and the clone moved: then nothing of it can be used.
is_usable() {
  local here='import sys, canister_factory as ours; sys.exit(not ours.__file__.startswith(sys.argv[1] + "/"))'
  [ ! -e "$VENV/.unfinished" ] && "$VENV/bin/python" -I -c "$here" "$ROOT" 2>/dev/null
}

is_ready() {
  [ -e "$VENV/.installed-$1-$(stamp_for "$1")" ] && is_usable
}

# Runs a program whose output is only of interest when it fails. A program, since a trap within a function of ours would
# speak into the output as well.
quietly() {
  OUTPUT=$(mktemp)
  if "$@" >"$OUTPUT" 2>&1; then
    rm -f "$OUTPUT"
    return
  fi
  cat "$OUTPUT" >&2
  rm -f "$OUTPUT"
  return 1
}

# A person's pip settings may say from where packages come, but not that they go elsewhere.
PIP=(env PIP_USER=0 PIP_TARGET= PIP_PREFIX= PIP_DISABLE_PIP_VERSION_CHECK=1 "$VENV/bin/python" -I -m pip)

# The locks are complete: `--no-deps` keeps pip from resolving anything anew (it does for `package[extra]`, even beside a
# pin), and `pip check` says so if one isn't. What builds this project is in them too, so nothing unpinned is fetched.
install_packages() {
  echo "Installing the packages that requirements/$1.lock pins (once; about a minute) ..." >&2
  if ! { quietly "${PIP[@]}" install --quiet --require-hashes --no-deps -r "$ROOT/requirements/$1.lock" &&
    quietly "${PIP[@]}" install --quiet --no-deps --no-build-isolation --editable "$ROOT"; }; then
    echo "error: the packages could not be installed (see above); the next run tries again" >&2
    return 1
  fi
}

check_packages() {
  quietly "${PIP[@]}" check
}

make_venv() {
  local python
  python=$(find_python) || return 1
  echo "Making a virtual environment in $(basename "$VENV") ..." >&2
  mkdir -p "$VENV"
  touch "$VENV/.unfinished"
  # `--clear` removes the mark of an earlier attempt, and everything else that it left.
  if ! quietly "$python" -I -m venv --clear "$VENV"; then
    echo "error: the virtual environment could not be made (see above)" >&2
    return 1
  fi
  touch "$VENV/.unfinished"
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
  local kind=$1 started=$SECONDS fresh=false
  OUTPUT=
  trap 'rm -f "$OUTPUT"; echo "Interrupted; the next run begins the set-up anew." >&2; exit 130' INT
  trap 'rm -f "$OUTPUT"; echo "Terminated; the next run begins the set-up anew." >&2; exit 143' TERM
  # Of two scripts that begin at the same time one does the work; without flock(1) they must not.
  if command -v flock >/dev/null; then
    exec 9>"$ROOT/.venv-lock"
    if ! flock --nonblock 9; then
      echo "Another script is setting the environment up; waiting for it ..." >&2
      flock 9
    fi
    if is_ready "$kind"; then return; fi
  fi
  if ! is_usable; then
    make_venv || return 1
    fresh=true
  fi
  # Whatever stops this, even a lost machine: half an installation is never taken for a whole one.
  touch "$VENV/.unfinished"
  install_packages "$kind" || return 1
  if ! $fresh && ! check_packages 2>/dev/null; then
    # What an earlier lock had, and this one hasn't, may be in the way.
    make_venv && install_packages "$kind" || return 1
  fi
  if ! check_packages; then
    echo "error: requirements/$kind.lock doesn't fit together (see above); scripts/lock makes it anew" >&2
    return 1
  fi
  rm -f "$VENV"/.installed-"$kind"-*
  touch "$VENV/.installed-$kind-$(stamp_for "$kind")"
  rm -f "$VENV/.unfinished"
  echo "The environment is ready after $((SECONDS - started)) s." >&2
}
