# Makes sure that Node.js and the Motoko compiler are there. Sourced by scripts/build-canisters; the caller has set `-e`.
#
#   ensure_compiler    installs what canisters/package-lock.json pins into canisters/node_modules, when that isn't there yet

CANISTERS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../canisters" && pwd)

# The oldest version whose gzip gives the committed bytes; the compiler itself runs on 16 too.
OLDEST_NODE=18

ensure_compiler() {
  local found stamp log
  if ! found=$(node --version 2>/dev/null); then
    echo "error: Node.js isn't installed; version $OLDEST_NODE or newer runs the Motoko compiler" >&2
    return 1
  fi
  found=${found#v}
  if [ "${found%%.*}" -lt "$OLDEST_NODE" ]; then
    echo "error: Node.js $found is too old; version $OLDEST_NODE or newer is needed to build the canisters" >&2
    return 1
  fi

  stamp=$CANISTERS/node_modules/.installed-$(sha256sum <"$CANISTERS/package-lock.json" | cut -c1-16)
  if [ -e "$stamp" ]; then return; fi
  if ! command -v npm >/dev/null; then
    echo "error: npm isn't installed; it comes with Node.js and installs the Motoko compiler" >&2
    return 1
  fi
  echo "Installing the Motoko compiler into canisters/node_modules (once) ..." >&2
  log=$(mktemp)
  if ! (cd "$CANISTERS" && npm ci --no-audit --no-fund) >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "error: npm could not install the Motoko compiler (see above)" >&2
    return 1
  fi
  rm -f "$log"
  touch "$stamp"
}
