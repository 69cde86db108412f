#!/usr/bin/env bash
# Runs the capsule tests one after the other, with a summary at the end; see --help.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

TESTS=(
  test_capsule_creation.sh
  test_memory_upload.sh
  test_memory_crud.sh
  test_gallery_upload.sh
  test_gallery_crud.sh
  test_personal_canister.sh
)

usage() {
  cat <<'END'
Usage: scripts/capsule/run_tests.sh [--list] [--only FILE]... [--keep-going]

Tests the capsule API and the creation of personal canisters by the calls that a person would type.

  --list        print the test files
  --only FILE   run this file only; may be given several times ('test_' and '.sh' may be left out)
  --keep-going  go on with the next file after one that failed
  -h, --help    this text

Without settings an embedded replica is started for all files, and each deploys a backend of its own. Settings are
environment variables (all of them: test_config.sh):

  NETWORK=URL      another network, with ROOT_KEY=HEX, or FETCH_ROOT_KEY=1 on a test network
  BACKEND=ID       a backend that is there, with ADMIN_IDENTITY=FILE.pem and OPERATOR_IDENTITY=FILE.pem of its staff
  CALL_WITH=icp    calls by icp-cli; or CALL_WITH=dfx: written after dfx's documentation, and not tried with dfx itself
  VERBOSE=1        print every call and every reply
  KEEP_FILES=1     leave keys and logs where they are

Exit code 0: all passed; 1: something failed; 2: usage.
END
}

# The file that is meant by a name; ends the script if there is none.
test_named() {
  local name test
  name=$(basename "$1" .sh)
  for test in "${TESTS[@]}"; do
    if [ "$test" = "$name.sh" ] || [ "$test" = "test_$name.sh" ]; then
      echo "$test"
      return
    fi
  done
  echo "error: there is no test file '$1'; see --list" >&2
  exit 2
}

SELECTED=()
KEEP_GOING=
while [ $# -gt 0 ]; do
  case $1 in
    --list)
      printf '%s\n' "${TESTS[@]}"
      exit 0
      ;;
    --only)
      [ $# -gt 1 ] || { echo "error: --only needs a file; see --list" >&2 && exit 2; }
      found=$(test_named "$2")
      SELECTED+=("$found")
      shift
      ;;
    --keep-going) KEEP_GOING=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "error: unknown argument '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done
if [ "${#SELECTED[@]}" -eq 0 ]; then SELECTED=("${TESTS[@]}"); fi

use_work_dir
use_canister_factory
use_tool
if [ -z "$NETWORK" ]; then start_replica; fi
export NETWORK ROOT_KEY

SUMMARY=
PASSED_FILES=0
FAILED_FILES=0
for test in "${SELECTED[@]}"; do
  if [ "$FAILED_FILES" -gt 0 ] && [ -z "$KEEP_GOING" ]; then
    SUMMARY+="[SKIP] $test"$'\n'
    continue
  fi
  started=$SECONDS
  if bash "$HERE/$test"; then
    PASSED_FILES=$((PASSED_FILES + 1))
    SUMMARY+="[PASS] $test ($((SECONDS - started)) s)"$'\n'
  else
    FAILED_FILES=$((FAILED_FILES + 1))
    SUMMARY+="[FAIL] $test ($((SECONDS - started)) s)"$'\n'
  fi
done

section "Summary"
printf '%s' "$SUMMARY"
printf 'files: %d passed, %d failed; %d s\n' "$PASSED_FILES" "$FAILED_FILES" "$SECONDS"
FINISHED=1
if [ "$FAILED_FILES" -gt 0 ]; then exit 1; fi
