#!/usr/bin/env bash
# Personal canister creation: the request and what refuses it, the creation itself, and what everyone has afterwards.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner stranger
need_staff

OWNER=$(principal_of owner)

section "A capsule with something in it"

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner has a capsule"
CAPSULE=$(field capsule_id)

head -c 5000 /dev/urandom >"$WORK_DIR/photo"
call "$BACKEND" add_memory_to_capsule \
  "(record { blob_ref = record { kind = variant { ICPCapsule }; locator = \"\" };
             data = opt $(candid_blob "$WORK_DIR/photo") },
    record { memory_type = variant { Image }; name = \"Sunset\"; content_type = \"image/png\" })" owner
expect_ok "a memory"
MEMORY=$(ok_text)

call "$BACKEND" store_gallery_forever "(record { title = \"Evenings\"; is_public = false; memory_entries = vec {
  record { memory_id = \"$MEMORY\"; position = 0; is_featured = true; gallery_metadata = \"{}\" } } })" owner
expect_ok "a gallery"
GALLERY=$(field id)

call "$BACKEND" add_connection '(variant { Opaque = "Grandmother" })' owner
expect_ok "and a connection"

section "Requests that are refused"

call "$BACKEND" create_personal_canister '(null)'
expect_rejected "an anonymous caller gets no canister"

call "$BACKEND" create_personal_canister '(null)' stranger
expect_err InvalidRequest "without a capsule there is nothing to move"

call "$BACKEND" create_personal_canister '(opt record { name = opt "<b>" })' owner
expect_err InvalidRequest "a name may have no markup"

call "$BACKEND" set_personal_canister_creation_enabled '(false)' owner
expect_rejected "only an admin may disable the creation"

call "$BACKEND" set_personal_canister_creation_enabled '(false)' admin
expect_ok "an admin disables it"

call "$BACKEND" create_personal_canister '(null)' owner
expect_err Disabled "then nobody gets a canister"

call "$BACKEND" set_personal_canister_creation_enabled '(true)' admin
expect_ok "the admin enables it again"

query "$BACKEND" get_creation_status '()' owner
expect_equal "(null)" "$RESPONSE" "none of this has started a creation"

section "The request"

call "$BACKEND" create_personal_canister '(opt record { name = opt "My evenings" })' owner
expect_ok "the owner asks for a personal canister"
expect_text "success = true" "the request is accepted"
expect_text "canister_id = null" "the canister is yet to be made"

call "$BACKEND" create_personal_canister '(null)' owner
expect_ok "asking again is fine"

query "$BACKEND" get_creation_status '()' owner
expect_text "status = variant { NotStarted }" "it waits for an operator"

query "$BACKEND" get_my_personal_canister_id '()' owner
expect_equal "(null)" "$RESPONSE" "there is no personal canister before the creation is complete"

query "$BACKEND" get_user_creation_status "(principal \"$OWNER\")" stranger
expect_err Unauthorized "someone else can't follow it"

query "$BACKEND" list_open_requests '(record {})' operator
expect_text "$OWNER" "the operator sees the request"

section "The creation, by the operator"

LAST_CALL="canister-factory run $OWNER"
if RAN=$("$CANISTER_FACTORY" run "$OWNER" --backend "$BACKEND" "${NETWORK_OPTIONS[@]}" --identity "$(pem operator)" \
  --json 2>"$WORK_DIR/stderr"); then
  pass "the operator runs the creation to its end" "$LAST_CALL: exit code 0"
else
  fail "the operator runs the creation to its end" "exit code 0" "$RAN $(tail -c 500 "$WORK_DIR/stderr")"
fi
PERSONAL=$(json_field canister_id "$RAN")
if [ -z "$PERSONAL" ]; then
  note "all the rest needs the personal canister and is left out"
  finish
fi
expect_equal "$(json_field source_manifest "$RAN")" "$(json_field target_manifest "$RAN")" \
  "the manifest that the new canister computed is the source's"

query "$BACKEND" get_creation_status '()' owner
expect_text "status = variant { Completed }" "the creation is complete"

query "$BACKEND" get_my_personal_canister_id '()' owner
expect_equal "(opt principal \"$PERSONAL\")" "$RESPONSE" "the owner gets the canister's id"

call "$BACKEND" create_personal_canister '(null)' owner
expect_text "canister_id = opt principal \"$PERSONAL\"" "asking once more gives the same canister"

section "Who controls it"

call aaaaa-aa canister_status "(record { canister_id = principal \"$PERSONAL\" })" owner
expect_text "controllers = vec { principal \"$OWNER\" }" "the owner, and nobody else"

call aaaaa-aa canister_status "(record { canister_id = principal \"$PERSONAL\" })" operator
expect_rejected "the operator has no say in it any more"

section "What is in it"

query "$PERSONAL" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_bytes "$WORK_DIR/photo" "the memory, byte by byte"
expect_text 'name = "Sunset"' "under its name"

query "$PERSONAL" get_gallery_by_id "(\"$GALLERY\")" owner
expect_text "memory_id = \"$MEMORY\"" "the gallery, with the memory in it"

query "$PERSONAL" list_connections '()' owner
expect_text 'Opaque = "Grandmother"' "the connection"

query "$PERSONAL" list_my_capsules '()' owner
expect_text "id = \"$CAPSULE\"" "all in the same capsule"

query "$PERSONAL" get_memory_from_capsule "(\"$MEMORY\")" stranger
expect_err NotFound "which others still can't read"

call "$PERSONAL" update_gallery "(\"$GALLERY\", record { title = opt \"My evenings\" })" owner
expect_ok "the owner goes on writing there"

call "$PERSONAL" register '()' stranger
expect_rejected "where nobody else is let in"

call "$PERSONAL" begin_import '()' owner
expect_err Locked "and nothing is imported any more"

section "What stays on the shared backend"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_bytes "$WORK_DIR/photo" "the memory can be read there as before"

call "$BACKEND" delete_memory_from_capsule "(\"$MEMORY\")" owner
expect_err Moved "but not written"
expect_text "personal_canister = principal \"$PERSONAL\"" "and the error says where to"

call "$BACKEND" register_capsule '()' stranger
expect_ok "for everyone else it works as before"

section "What the admin sees"

query "$BACKEND" get_registry_entry "(principal \"$PERSONAL\")" admin
expect_text "created_by = principal \"$OWNER\"" "the registry says whose canister it is"
expect_text "status = variant { Completed }" "and that it is complete"

query "$BACKEND" get_personal_canister_creation_stats '()' admin
expect_text "total_successes = " "successes are counted"

query "$BACKEND" get_personal_canister_creation_stats '()' owner
expect_err Unauthorized "which only the staff may see"

finish
