# shellcheck shell=bash
# What the capsule tests share: set-up and tear-down, calls, expectations, bytes in Candid. Sourced by each test file.
#
#   set_up owner stranger                     network, backend, and a key for each of these people
#   call  "$BACKEND" METHOD '(ARGS)' owner    an update call; without a name the caller is anonymous
#   query "$BACKEND" METHOD '(ARGS)' owner    a query
#   expect_ok "what that shows"               and the other expect_...: look at the reply, print [PASS] or [FAIL]
#   finish                                    summary and exit code
#
# Plain bash 3.2, so that it runs on macOS as well.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test_config.sh
source "$HERE/test_config.sh"

PASSED=0
FAILED=0
FINISHED= # set when a script came to its end
WORK_DIR=
REPLICA_PID=
RESPONSE=     # the latest reply on one line, or "no reply: " and the reason
RAW_RESPONSE= # the same as it was printed
LAST_CALL=    # who called what
# An identity of the person who runs this must not take the place of the anonymous caller.
unset CANISTER_FACTORY_IDENTITY

# ---- Set-up and tear-down ---------------------------------------------------------------------------------------------

# Everything that a test file needs. Arguments: the people who take part.
set_up() {
  local person
  section "$(basename "$0"): set-up"
  use_work_dir
  use_canister_factory
  use_tool
  if [ -z "$NETWORK" ]; then start_replica; fi
  use_network_options
  for person in "$@"; do new_identity "$person"; done
  if [ -z "$BACKEND" ]; then deploy_backend; fi
  note "backend $BACKEND at $NETWORK, calls by $CALL_WITH"
}

# Sets up WORK_DIR, and cleans up when the script ends, in whatever way.
use_work_dir() {
  WORK_DIR=$(mktemp -d "${TEMP_ROOT%/}/capsule-tests.XXXXXX")
  trap tear_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

tear_down() {
  local code=$?
  trap - EXIT INT TERM
  stop_replica
  if [ -n "$KEEP_FILES" ]; then note "files are in $WORK_DIR"; else rm -rf "$WORK_DIR"; fi
  if [ -z "$FINISHED" ]; then
    echo "[FAIL] $(basename "$0") stopped before its end (exit code $code)"
    if [ "$code" -eq 0 ]; then code=1; fi
  fi
  exit "$code"
}

use_canister_factory() {
  if [ -z "$CANISTER_FACTORY" ]; then
    # shellcheck source=../lib/environment.sh
    source "$HERE/../lib/environment.sh"
    ensure_environment run
    CANISTER_FACTORY=$VENV/bin/canister-factory
  fi
  export CANISTER_FACTORY
}

# The command that makes the calls, with a home of its own.
use_tool() {
  TOOL_HOME=$WORK_DIR/home
  mkdir "$TOOL_HOME"
  case $CALL_WITH in
    canister-factory) return 0 ;;
    icp)
      command -v "$ICP" >/dev/null || stop "there is no command $ICP; set ICP to where it is"
      run_icp settings update-check disabled >/dev/null 2>&1
      ;;
    dfx) command -v "$DFX" >/dev/null || stop "there is no command $DFX; set DFX to where it is" ;;
    *) stop "CALL_WITH is '$CALL_WITH'; it may be canister-factory, icp or dfx" ;;
  esac
  case $NETWORK in
    '' | http://* | https://*) ;;
    *) stop "NETWORK is '$NETWORK'; with CALL_WITH=$CALL_WITH give a URL" ;;
  esac
}

# An embedded replica; its standard input stays open as long as this script lives, and when it closes the replica stops.
start_replica() {
  local ready dir=$WORK_DIR/replica
  mkdir "$dir"
  mkfifo "$dir/in" "$dir/out"
  CANISTER_FACTORY_HOME=$dir "$CANISTER_FACTORY" replica start --port 0 --json --exit-with-parent \
    --state-dir "$dir/state" <"$dir/in" >"$dir/out" 2>"$dir/log" &
  REPLICA_PID=$!
  exec 9>"$dir/in" 8<"$dir/out"
  if ! read -r -t "$REPLICA_TIMEOUT" ready <&8; then
    cat "$dir/log" >&2
    stop "the embedded replica did not start"
  fi
  NETWORK=$(json_field url "$ready")
  ROOT_KEY=$(json_field root_key "$ready")
}

# Its state is not needed any more, so it is not given the time to write it.
stop_replica() {
  if [ -z "$REPLICA_PID" ]; then return 0; fi
  kill -KILL "$REPLICA_PID" 2>/dev/null || true
  wait "$REPLICA_PID" 2>/dev/null || true
  REPLICA_PID=
  exec 9>&- 8<&-
}

use_network_options() {
  NETWORK_OPTIONS=(--network "$NETWORK")
  if [ -n "$ROOT_KEY" ]; then
    NETWORK_OPTIONS+=(--root-key "$ROOT_KEY")
  elif [ -n "$FETCH_ROOT_KEY" ]; then
    NETWORK_OPTIONS+=(--fetch-root-key)
  elif [ "$CALL_WITH" = icp ]; then
    stop "set ROOT_KEY to the network's root key, or FETCH_ROOT_KEY=1 on a test network"
  fi
}

# A key pair in $WORK_DIR/NAME.pem.
new_identity() {
  local kind=ed25519
  # dfx reads secp256k1 keys in every version, Ed25519 keys only in some forms.
  if [ "$CALL_WITH" = dfx ]; then kind=secp256k1; fi
  "$CANISTER_FACTORY" identity new "$(pem "$1")" --kind "$kind" --json >"$WORK_DIR/$1.json"
  tell_about_identity "$1"
}

# Makes an identity known to the command that makes the calls.
tell_about_identity() {
  case $CALL_WITH in
    icp) run_icp identity import "$1" --from-pem "$(pem "$1")" --storage plaintext >/dev/null 2>&1 ;;
    dfx) run_dfx identity import --storage-mode plaintext "$1" "$(pem "$1")" >/dev/null 2>&1 ;;
  esac
}

# A backend with the bundled module, an approved release, a funded reserve, an admin and an operator.
deploy_backend() {
  local deployed
  new_identity admin
  new_identity operator
  deployed=$("$CANISTER_FACTORY" deploy "${NETWORK_OPTIONS[@]}" --identity "$(pem admin)" \
    --operator "$(principal_of operator)" --json 2>"$WORK_DIR/stderr") ||
    stop "the backend could not be deployed: $deployed $(cat "$WORK_DIR/stderr")"
  BACKEND=$(json_field backend_id "$deployed")
}

# Makes sure that 'admin' and 'operator' can be called as. Ends the script when the backend is someone's and it isn't said
# who they are.
need_staff() {
  local name file
  for name in admin operator; do
    if [ -e "$(pem "$name")" ]; then continue; fi
    if [ "$name" = admin ]; then file=$ADMIN_IDENTITY; else file=$OPERATOR_IDENTITY; fi
    [ -n "$file" ] || stop "with a BACKEND of your own, set ADMIN_IDENTITY and OPERATOR_IDENTITY to PEM files"
    (umask 077 && cp "$file" "$(pem "$name")")
    "$CANISTER_FACTORY" identity show "$(pem "$name")" --json >"$WORK_DIR/$name.json"
    tell_about_identity "$name"
  done
}

pem() { echo "$WORK_DIR/$1.pem"; }

# The principal of a person, as text.
principal_of() { json_field principal "$(cat "$WORK_DIR/$1.json")"; }

# ---- Calls -----------------------------------------------------------------------------------------------------------

# call CANISTER METHOD ARGS [IDENTITY]: an update call; the reply is in RESPONSE.
call() { send update "$@"; }

# query CANISTER METHOD ARGS [IDENTITY]: a query; the reply is in RESPONSE.
query() { send query "$@"; }

send() {
  local mode=$1 canister=$2 method=$3 args=$4 who=${5:-anonymous} with=$CALL_WITH
  # icp and dfx have commands of their own for the management canister.
  if [ "$canister" = aaaaa-aa ]; then with='canister-factory'; fi
  LAST_CALL="$method as $who"
  if [ -n "$VERBOSE" ]; then note "$mode $canister $method $(shorten "$args") as $who"; fi
  if RAW_RESPONSE=$("call_with_$with" "$mode" "$canister" "$method" "$args" "$who" 2>"$WORK_DIR/stderr"); then
    RESPONSE=$(one_line <<<"$RAW_RESPONSE")
  else
    RESPONSE="no reply: $(one_line <"$WORK_DIR/stderr")"
  fi
  if [ -n "$VERBOSE" ]; then note "  $(shorten "$RESPONSE")"; fi
}

call_with_canister-factory() {
  if [ "$5" = anonymous ]; then
    "$CANISTER_FACTORY" call "$2" "$3" "$4" "--$1" "${NETWORK_OPTIONS[@]}"
  else
    "$CANISTER_FACTORY" call "$2" "$3" "$4" "--$1" "${NETWORK_OPTIONS[@]}" --identity "$(pem "$5")"
  fi
}

call_with_icp() {
  local key=${ROOT_KEY:-fetch}
  if [ "$1" = query ]; then
    run_icp canister call "$2" "$3" "$4" --query --network "$NETWORK" --root-key "$key" --identity "$5"
  else
    run_icp canister call "$2" "$3" "$4" --network "$NETWORK" --root-key "$key" --identity "$5"
  fi
}

call_with_dfx() { run_dfx canister call "$2" "$3" "$4" "--$1" --network "$NETWORK" --identity "$5"; }

# In a directory without a project, with a home of its own: nothing of the person who runs this is read or changed.
run_icp() { (cd "$TOOL_HOME" && HOME=$PWD ICP_HOME=$PWD ICP_TELEMETRY_DISABLED=1 "$ICP" "$@"); }

run_dfx() {
  (cd "$TOOL_HOME" && HOME=$PWD DFX_CONFIG_ROOT=$PWD DFX_TELEMETRY=off DFX_WARNING=-mainnet_plaintext_identity "$DFX" "$@")
}

# Replies of all commands in one form: one line, and no underscores in numbers.
one_line() { tr -s '[:space:]' ' ' | sed -E 's/([0-9])_([0-9])/\1\2/g; s/ $//'; }

# ---- Expectations ----------------------------------------------------------------------------------------------------
# Each says in words what it shows, and goes on after a failure, so that one run tells all.

section() { printf '\n== %s\n' "$1"; }
note() { printf '   %s\n' "$1" >&2; }

# The set-up can't be done; nothing more can be tested.
stop() {
  echo "error: $1" >&2
  exit 1
}

# pass WHAT CAME: the expectation was met.
pass() {
  PASSED=$((PASSED + 1))
  echo "[PASS] $1 ($2)"
}

# fail WHAT EXPECTED CAME
fail() {
  FAILED=$((FAILED + 1))
  printf '[FAIL] %s\n       call:     %s\n       expected: %s\n       came:     %s\n' \
    "$1" "$LAST_CALL" "$2" "$(shorten "$3")"
}

shorten() { if [ "${#1}" -gt 600 ]; then echo "${1:0:600} ..."; else echo "$1"; fi; }

# expect_ok WHAT: the reply is variant { Ok ... }.
expect_ok() {
  if [[ $RESPONSE =~ ^\(\ ?variant\ \{\ Ok\  ]]; then pass "$1" "$LAST_CALL: Ok"; else fail "$1" Ok "$RESPONSE"; fi
}

# expect_err KIND WHAT: the reply is a typed error of that kind, of the capsule or of a creation.
expect_err() {
  local error='^\( ?variant \{ Err = ' capsule="variant \{ $1 " creation="record \{.* kind = variant \{ $1 \}"
  if [[ $RESPONSE =~ $error($capsule|$creation) ]]; then
    pass "$2" "$LAST_CALL: Err $1"
  else
    fail "$2" "Err $1" "$RESPONSE"
  fi
}

# expect_rejected WHAT: the canister, or its inspection of messages, refused the call altogether.
expect_rejected() {
  if [[ $RESPONSE == "no reply: "* && $RESPONSE =~ IC0[0-9]{3}|[Rr]eject ]]; then
    pass "$1" "$LAST_CALL: rejected"
  else
    fail "$1" "a rejected call" "$RESPONSE"
  fi
}

# expect_text TEXT WHAT: the reply has this Candid text in it.
expect_text() {
  if [[ -n $1 && $RESPONSE == *"$1"* ]]; then pass "$2" "$LAST_CALL: $1"; else fail "$2" "a reply with $1" "$RESPONSE"; fi
}

# expect_no_text TEXT WHAT: a reply came, and hasn't this Candid text in it.
expect_no_text() {
  if [[ -n $1 && $RESPONSE != "no reply: "* && $RESPONSE != *"$1"* ]]; then
    pass "$2" "$LAST_CALL: without $1"
  else
    fail "$2" "a reply without $1" "$RESPONSE"
  fi
}

# expect_equal EXPECTED CAME WHAT
expect_equal() {
  if [ -n "$1" ] && [ "$1" = "$2" ]; then pass "$3" "$1"; else fail "$3" "$1" "$2"; fi
}

# expect_bytes FILE WHAT: the bytes in the reply are those of the file, by SHA-256.
expect_bytes() {
  local expected came
  expected=$(sha256 <"$1")
  came=$(reply_bytes | sha256)
  if [ "$came" = "$expected" ]; then pass "$2" "SHA-256 $came"; else fail "$2" "SHA-256 $expected" "SHA-256 $came"; fi
}

# Summary of this file, and its exit code.
finish() {
  FINISHED=1
  printf '\n%s: %d passed, %d failed\n' "$(basename "$0")" "$PASSED" "$FAILED"
  if [ "$FAILED" -gt 0 ] || [ "$PASSED" -eq 0 ]; then exit 1; fi
  exit 0
}

# ---- What is in a reply -----------------------------------------------------------------------------------------------

# field NAME: the text, principal or number of the record's field.
field() { sed -nE "s/.*[ {]$1 = (opt )?(principal )?\"?([^\"; ]+)\"?.*/\3/p" <<<"$RESPONSE"; }

# The text in variant { Ok = "..." }: the id of what was made.
ok_text() { sed -nE 's/.*variant \{ Ok = "([^"]*)".*/\1/p' <<<"$RESPONSE"; }

# The bytes of a chunk, or of a memory's data.
reply_bytes() {
  local blob
  # Inside the quotes: \ab is a byte in hexadecimal, and a few characters have a short form; all become \xab for printf.
  blob=$(tr '\n' ' ' <<<"$RAW_RESPONSE" | sed -nE 's/.*(Ok|data) = +(opt +)?blob "(([^"\\]|\\.)*)".*/\3/p' |
    sed -e 's/\\\\/\\5c/g' -e 's/\\"/\\22/g' -e "s/\\\\'/\\\\27/g" -e 's/\\n/\\0a/g' -e 's/\\r/\\0d/g' \
      -e 's/\\t/\\09/g' -e 's/\\/\\x/g')
  printf '%b' "$blob"
}

json_field() { sed -nE "s/.*\"$1\": ?\"([^\"]*)\".*/\1/p" <<<"$2"; }

# ---- Bytes in Candid --------------------------------------------------------------------------------------------------

# SHA-256 of standard input in hexadecimal.
sha256() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -d' ' -f1; }

# candid_blob FILE: its bytes as blob "\xx\xx..."
candid_blob() {
  echo "blob \"$(od -An -v -tx1 "$1" | tr -d ' \n' | sed 's/../\\&/g')\""
}

# candid_sha256 FILE: its checksum as a blob.
candid_sha256() { echo "blob \"$(sha256 <"$1" | sed 's/../\\&/g')\""; }
