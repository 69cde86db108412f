# Makes sure that Node.js and the Motoko compiler are there. Sourced by scripts/build-canisters; the caller has set `-e`.
#
#   ensure_compiler    installs what canisters/package-lock.json pins into canisters/node_modules, when that isn't there yet

CANISTERS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../canisters" && pwd)

# The oldest version whose gzip gives the committed bytes; the compiler itself runs on 16 too.
OLDEST_NODE=18

ensure_compiler() {
  local found stamp
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
  (install_compiler "$stamp")
}

install_compiler() {
  local stamp=$1 log
  # Of two scripts that begin at the same time one does the work; without flock(1) they must not.
  if command -v flock >/dev/null; then
    exec 9>"$CANISTERS/.npm-lock"
    if ! flock --nonblock 9; then
      echo "Another script is installing the Motoko compiler; waiting for it ..." >&2
      flock 9
    fi
    if [ -e "$stamp" ]; then return; fi
  fi
  log=$(mktemp)
  trap 'rm -f "$log"; echo "Interrupted; the next run begins the installation anew." >&2; exit 130' INT
  trap 'rm -f "$log"; echo "Terminated; the next run begins the installation anew." >&2; exit 143' TERM
  echo "Installing the Motoko compiler into canisters/node_modules (once) ..." >&2
  # The stamp comes last: half an installation has none.
  rm -f "$CANISTERS"/node_modules/.installed-*
  if ! (cd "$CANISTERS" && npm ci --no-audit --no-fund) >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "error: npm could not install the Motoko compiler (see above); the next run tries again" >&2
    return 1
  fi
  rm -f "$log"
  touch "$stamp"
}
