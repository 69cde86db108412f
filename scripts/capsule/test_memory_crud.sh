#!/usr/bin/env bash
# Memories: making, reading, changing, listing and deleting them, who may, and what is refused.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner stranger

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner has a capsule"

DATA='record { blob_ref = record { kind = variant { ICPCapsule }; locator = "" }; data = opt blob "A day by the sea." }'
printf 'A day by the sea.' >"$WORK_DIR/note"
printf 'Two days by the sea.' >"$WORK_DIR/longer-note"

section "Create and read"

call "$BACKEND" add_memory_to_capsule \
  "($DATA, record { memory_type = variant { Note }; name = \"Sea\"; content_type = \"text/plain\" })" owner
expect_ok "the owner adds a note"
MEMORY=$(ok_text)

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_ok "and reads it"
expect_text 'name = "Sea"' "its name is there"
expect_bytes "$WORK_DIR/note" "its bytes are there"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" stranger
expect_err NotFound "someone else can't read it"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")"
expect_err NotFound "nor can the anonymous caller"

query "$BACKEND" get_memory_from_capsule '("mem-unknown")' owner
expect_err NotFound "a memory that doesn't exist is not found"

section "Update"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record { info = opt record { name = opt \"The sea\" } })" owner
expect_ok "the owner gives it another name"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_text 'name = "The sea"' "the new name is there"
expect_bytes "$WORK_DIR/note" "the bytes are as they were"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\",
  record { data = opt record { blob_ref = record { kind = variant { ICPCapsule }; locator = \"\" };
                               data = opt $(candid_blob "$WORK_DIR/longer-note") } })" owner
expect_ok "the owner gives it other bytes"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_bytes "$WORK_DIR/longer-note" "the new bytes are there"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record { info = opt record { name = opt \"\" } })" owner
expect_err InvalidArgument "a memory must keep a name"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record { metadata = opt variant { Document = record {
  base = record { size = 20; mime_type = \"text/plain\"; original_name = \"sea\"; uploaded_at = \"\" } } } })" owner
expect_err InvalidArgument "a note can't have a document's metadata"

call "$BACKEND" update_memory_in_capsule \
  "(\"$MEMORY\", record { info = opt record { name = opt \"Mine now\" } })" stranger
expect_err NotFound "someone else can't change it"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record {})"
expect_rejected "nor can the anonymous caller"

call "$BACKEND" update_memory_in_capsule '("mem-unknown", record {})' owner
expect_err NotFound "a memory that doesn't exist can't be changed"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_text 'name = "The sea"' "nothing of what was refused has happened"

section "Access"

STRANGER="variant { Principal = principal \"$(principal_of stranger)\" }"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record {
  access = opt variant { Custom = record { individuals = vec { $STRANGER }; groups = vec {} } } })" owner
expect_ok "the owner shares it with one person"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" stranger
expect_bytes "$WORK_DIR/longer-note" "who can read it now"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")"
expect_err NotFound "while nobody else can"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record {
  access = opt variant { Custom = record { individuals = vec {}; groups = vec { \"group-unknown\" } } } })" owner
expect_err NotFound "it can't be shared with a group that doesn't exist"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record { access = opt variant { Scheduled = record {
  accessible_after = 4102444800000000000; access = variant { Public } } } })" owner
expect_ok "the owner opens it to all, from the year 2100 on"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" stranger
expect_err NotFound "until then nobody else reads it"

call "$BACKEND" update_memory_in_capsule "(\"$MEMORY\", record { access = opt variant { Public } })" owner
expect_ok "the owner makes it public"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")"
expect_ok "now even the anonymous caller reads it"

section "List"

call "$BACKEND" add_memory_to_capsule \
  "($DATA, record { memory_type = variant { Document }; name = \"Letter\"; content_type = \"text/plain\" })" owner
expect_ok "the owner adds another memory"
SECOND=$(ok_text)

query "$BACKEND" list_capsule_memories '(null, record {})' owner
expect_text "$MEMORY" "the list has the first"
expect_text "$SECOND" "and the second"
expect_text "total = 2 : nat64" "and says how many there are"

query "$BACKEND" list_capsule_memories '(null, record { limit = opt 1 })' owner
expect_no_text "$SECOND" "a page of one has one"
expect_text "next = opt \"$MEMORY\"" "and says where the next begins"

query "$BACKEND" list_capsule_memories "(null, record { after = opt \"$MEMORY\"; limit = opt 1 })" owner
expect_text "$SECOND" "the next page has the other"
expect_text "next = null" "and is the last"

query "$BACKEND" list_capsule_memories '(opt "cap-unknown", record {})' owner
expect_text "items = vec {}" "a capsule that doesn't exist has an empty list"

section "Delete"

call "$BACKEND" delete_memory_from_capsule "(\"$MEMORY\")" stranger
expect_err Unauthorized "someone else can't delete it, though it is public"

call "$BACKEND" delete_memory_from_capsule "(\"$MEMORY\")" owner
expect_ok "the owner deletes it"

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_err NotFound "then it is gone"

call "$BACKEND" delete_memory_from_capsule "(\"$MEMORY\")" owner
expect_err NotFound "and can't be deleted again"

query "$BACKEND" get_memory_from_capsule "(\"$SECOND\")" owner
expect_bytes "$WORK_DIR/note" "the other memory is untouched"

finish
