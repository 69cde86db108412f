#!/usr/bin/env bash
# Galleries: making, reading, changing and deleting them, what happens when a memory in one goes, and what is refused.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner stranger

entry() { # MEMORY POSITION
  echo "record { memory_id = \"$1\"; position = $2; is_featured = false; gallery_metadata = \"{}\" }"
}

section "Create and read"

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner has a capsule"

call "$BACKEND" add_memory_to_capsule \
  '(record { blob_ref = record { kind = variant { ICPCapsule }; locator = "" }; data = opt blob "\01\02\03" },
    record { memory_type = variant { Image }; name = "Garden"; content_type = "image/png" })' owner
expect_ok "and a memory"
MEMORY=$(ok_text)

call "$BACKEND" store_gallery_forever '(record { title = "Empty"; is_public = false; memory_entries = vec {} })' owner
expect_ok "a gallery may be empty at first"
GALLERY=$(field id)

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_text "memory_entries = vec {}" "it is empty"
expect_text "description = null" "it has no description"

section "Update"

call "$BACKEND" update_gallery "(\"$GALLERY\", record { title = opt \"Garden\"; description = opt \"In May\" })" owner
expect_ok "the owner gives it a title and a description"
expect_text 'title = "Garden"' "the reply has the title"
expect_text 'description = opt "In May"' "and the description"

call "$BACKEND" update_gallery \
  "(\"$GALLERY\", record { memory_entries = opt vec { $(entry "$MEMORY" 0) } })" owner
expect_ok "the owner puts a memory into it"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_text "memory_id = \"$MEMORY\"" "the memory is in it"
expect_text 'title = "Garden"' "the title is as it was"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" stranger
expect_err NotFound "a private gallery is not shown to others"

call "$BACKEND" update_gallery "(\"$GALLERY\", record { is_public = opt true })" owner
expect_ok "the owner makes it public"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" stranger
expect_ok "now others see it"

section "Refused updates"

call "$BACKEND" update_gallery "(\"$GALLERY\", record { title = opt \"\" })" owner
expect_err InvalidArgument "a gallery must keep a title"

call "$BACKEND" update_gallery \
  "(\"$GALLERY\", record { memory_entries = opt vec { $(entry mem-unknown 0) } })" owner
expect_err NotFound "it can't name a memory that doesn't exist"

call "$BACKEND" update_gallery "(\"$GALLERY\", record { title = opt \"Mine now\" })" stranger
expect_err Unauthorized "someone else can't change it, though it is public"

call "$BACKEND" update_gallery "(\"$GALLERY\", record { title = opt \"Mine now\" })"
expect_rejected "nor can the anonymous caller"

call "$BACKEND" update_gallery '("gal-unknown", record {})' owner
expect_err NotFound "a gallery that doesn't exist can't be changed"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_text 'title = "Garden"' "nothing of what was refused has happened"
expect_text "memory_id = \"$MEMORY\"" "the memory is still in it"

section "A memory in it is deleted"

call "$BACKEND" delete_memory_from_capsule "(\"$MEMORY\")" owner
expect_ok "the owner deletes the memory"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_text "memory_entries = vec {}" "the gallery no longer names it"

section "Delete"

call "$BACKEND" delete_gallery "(\"$GALLERY\")" stranger
expect_err Unauthorized "someone else can't delete it"

call "$BACKEND" delete_gallery "(\"$GALLERY\")" owner
expect_ok "the owner deletes it"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_err NotFound "then it is gone"

call "$BACKEND" delete_gallery "(\"$GALLERY\")" owner
expect_err NotFound "and can't be deleted again"

query "$BACKEND" get_my_galleries '()' owner
expect_no_text "$GALLERY" "the owner's list hasn't it any more"

finish
