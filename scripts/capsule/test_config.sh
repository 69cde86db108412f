# shellcheck shell=bash disable=SC2034  # the settings are used by the scripts that source this file
# Settings of the capsule tests, each an environment variable with a default. Sourced by test_utils.sh.

# Where the canisters run: a URL, or a name that canister-factory knows (embedded, local, ic).
# Empty: an embedded replica of the tests' own, on a free port, gone afterwards.
NETWORK=${NETWORK:-}
# The root key of the network at that URL (DER, hexadecimal); or FETCH_ROOT_KEY=1 to ask it, on test networks only.
ROOT_KEY=${ROOT_KEY:-}
FETCH_ROOT_KEY=${FETCH_ROOT_KEY:-}

# The backend to test. Empty: each test file deploys its own. With a backend of yours, the PEM files of one of its
# admins and one of its operators let the creation of a personal canister be tested too.
BACKEND=${BACKEND:-}
ADMIN_IDENTITY=${ADMIN_IDENTITY:-}
OPERATOR_IDENTITY=${OPERATOR_IDENTITY:-}

# The command that makes the calls: canister-factory, icp, or dfx. All else (replica, keys, deployment, management
# canister) is done by canister-factory.
CALL_WITH=${CALL_WITH:-canister-factory}
# Where these commands are. Without CANISTER_FACTORY the project's own environment is set up and used.
CANISTER_FACTORY=${CANISTER_FACTORY:-}
ICP=${ICP:-icp}
DFX=${DFX:-dfx}

# Files of a run (keys, replica, bytes to upload) are in a directory of their own below this one. KEEP_FILES=1 leaves it.
TEMP_ROOT=${TMPDIR:-/tmp}
KEEP_FILES=${KEEP_FILES:-}
# VERBOSE=1 prints every call and every reply.
VERBOSE=${VERBOSE:-}

# Seconds to wait for the replica to be ready.
REPLICA_TIMEOUT=${REPLICA_TIMEOUT:-60}
