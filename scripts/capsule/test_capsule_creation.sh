#!/usr/bin/env bash
# Capsule creation: registering, the capsule of one's own, capsules about others, who may see them, connections.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner friend

section "Registration and identity"

query "$BACKEND" whoami '()' owner
expect_text "principal \"$(principal_of owner)\"" "the backend knows who calls"

call "$BACKEND" register '()'
expect_rejected "an anonymous caller can't register"

call "$BACKEND" register '()' owner
expect_ok "the owner registers"
expect_text "bound = false" "a new user is not bound to a web account"

call "$BACKEND" register_with_nonce '("session-1")' owner
expect_ok "registering again, with a web session's nonce, is fine"

query "$BACKEND" verify_nonce '("session-1")'
expect_text "Ok = principal \"$(principal_of owner)\"" "the nonce tells who proved it"

call "$BACKEND" prove_nonce '("session-1")' friend
expect_err AlreadyExists "a nonce belongs to who proved it first"

call "$BACKEND" prove_nonce '("")' owner
expect_err InvalidArgument "a nonce must not be empty"

query "$BACKEND" verify_nonce '("session-2")'
expect_err NotFound "a nonce that nobody proved is unknown"

section "The capsule of one's own"

query "$BACKEND" list_my_capsules '()' owner
expect_text "(vec {" "there is a list"
expect_no_text "record" "nobody has a capsule before they ask for one"

query "$BACKEND" list_capsule_memories '(null, record {})' owner
expect_err NotFound "without a capsule there are no memories to list"

call "$BACKEND" register_capsule '()'
expect_rejected "an anonymous caller gets no capsule"

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner gets a capsule"
expect_text "is_new = true" "it is new"
CAPSULE=$(field capsule_id)

call "$BACKEND" register_capsule '()' owner
expect_ok "asking again is fine"
expect_text "is_new = false" "the second time it isn't new"
expect_equal "$CAPSULE" "$(field capsule_id)" "and it is the same capsule"

query "$BACKEND" get_capsule_info "(\"$CAPSULE\")" owner
expect_ok "the owner sees what the capsule is"
expect_text "is_self_capsule = true" "it is about the owner"
expect_text "is_owner = true" "who owns it"

query "$BACKEND" get_capsule "(\"$CAPSULE\")" owner
expect_ok "the owner sees the whole capsule"
expect_text "memory_count = 0 : nat64" "which is empty"

section "Who may see it"

query "$BACKEND" get_capsule "(\"$CAPSULE\")" friend
expect_err NotFound "someone else may not see the capsule"

query "$BACKEND" get_capsule "(\"$CAPSULE\")"
expect_err NotFound "nor may the anonymous caller"

query "$BACKEND" get_capsule_info "(\"$CAPSULE\")" friend
expect_err NotFound "someone else may not even see what it is"

query "$BACKEND" get_capsule '("cap-unknown")' owner
expect_err NotFound "a capsule that doesn't exist is not found"

section "Capsules about others"

call "$BACKEND" create_capsule '(variant { Opaque = "Grandmother" })' owner
expect_ok "the owner makes a capsule about someone without a principal"
expect_text 'subject = variant { Opaque = "Grandmother" }' "it is about her"

call "$BACKEND" create_capsule '(variant { Opaque = "Grandmother" })' owner
expect_err AlreadyExists "one owner has one capsule about each person"

call "$BACKEND" create_capsule '(variant { Opaque = "" })' owner
expect_err InvalidArgument "a capsule must be about somebody"

call "$BACKEND" create_capsule '(variant { Principal = principal "2vxsx-fae" })' owner
expect_err InvalidArgument "and the anonymous principal is nobody"

query "$BACKEND" list_my_capsules '()' owner
expect_text "$CAPSULE" "the owner's list has the own capsule"
expect_text 'Opaque = "Grandmother"' "and the other"

section "Connections"

FRIEND="variant { Principal = principal \"$(principal_of friend)\" }"

call "$BACKEND" add_connection "($FRIEND)" owner
expect_ok "the owner adds a connection"

call "$BACKEND" add_connection "($FRIEND)" owner
expect_err AlreadyExists "but not twice"

call "$BACKEND" update_connection_status "($FRIEND, variant { Accepted })" owner
expect_ok "the connection becomes accepted"

query "$BACKEND" list_connections '()' owner
expect_text "variant { Accepted }" "the list shows that"

call "$BACKEND" create_connection_group "(record { name = \"Family\"; members = vec { $FRIEND } })" owner
expect_ok "the owner makes a group"
GROUP=$(ok_text)

call "$BACKEND" delete_connection_group "(\"$GROUP\")" owner
expect_ok "and deletes it"

call "$BACKEND" delete_connection_group "(\"$GROUP\")" owner
expect_err NotFound "which works once"

call "$BACKEND" add_connection "($FRIEND)" friend
expect_err NotFound "without a capsule there are no connections"

section "Web account and version"

call "$BACKEND" mark_bound '()' owner
expect_ok "the owner is bound to a web account"

query "$BACKEND" get_capsule_info "(\"$CAPSULE\")" owner
expect_text "bound_to_web2 = true" "the capsule notes it"

query "$BACKEND" get_api_version '()'
expect_text '("1.' "the backend tells its API version"

finish
