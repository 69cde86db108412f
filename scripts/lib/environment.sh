# Makes the virtual environment in .venv when it is missing or out of date. Sourced by the scripts beside this folder.
#
#   ensure_environment run    what the product needs, the embedded replica included
#   ensure_environment dev    the same and the tools for tests and linting
#
# Versions come from requirements/*.lock, with hashes. A stamp remembers what was installed, so that a second run is quick.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=${CANISTER_FACTORY_VENV:-$ROOT/.venv}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.11 or newer is needed; set PYTHON to one" >&2
  return 1
}

stamp_for() {
  cat "$ROOT/requirements/$1.lock" "$ROOT/pyproject.toml" | sha256sum | cut -d' ' -f1
}

ensure_environment() {
  local kind=$1 stamp python log
  stamp=$(stamp_for "$kind")
  if [ -x "$VENV/bin/python" ] && [ -e "$VENV/.installed-$kind-$stamp" ]; then return; fi
  # The dev environment holds everything that the run environment does.
  if [ "$kind" = run ] && [ -x "$VENV/bin/python" ] && [ -e "$VENV/.installed-dev-$(stamp_for dev)" ]; then return; fi

  echo "Setting up the Python environment in $(basename "$VENV") (once; about a minute) ..." >&2
  if [ ! -x "$VENV/bin/python" ]; then
    python=$(find_python)
    "$python" -m venv "$VENV"
  fi
  log=$(mktemp)
  if ! { "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$ROOT/requirements/$kind.lock" &&
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable "$ROOT"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "error: the packages could not be installed (see above)" >&2
    return 1
  fi
  rm -f "$log" "$VENV"/.installed-"$kind"-*
  touch "$VENV/.installed-$kind-$stamp"
}
