#!/usr/bin/env bash
# Gallery upload: a gallery of memories that are there, its order and captions, who sees it, and what is refused.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner stranger

add_photo() { # NAME BYTES IDENTITY
  call "$BACKEND" add_memory_to_capsule \
    "(record { blob_ref = record { kind = variant { ICPCapsule }; locator = \"\" }; data = opt blob \"$2\" },
      record { memory_type = variant { Image }; name = \"$1\"; content_type = \"image/png\" })" "$3"
}

section "Two photos"

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner has a capsule"

add_photo "Morning" '\89PNG\00\01' owner
expect_ok "a photo is stored"
MORNING=$(ok_text)

add_photo "Evening" '\89PNG\00\02' owner
expect_ok "and another"
EVENING=$(ok_text)

entry() { # MEMORY POSITION
  echo "record { memory_id = \"$1\"; position = $2; is_featured = false; gallery_metadata = \"{}\" }"
}

section "A gallery of both"

call "$BACKEND" store_gallery_forever "(record { title = \"One day\"; description = opt \"From dawn to dusk\";
  is_public = false; memory_entries = vec {
    record { memory_id = \"$MORNING\"; position = 0; gallery_caption = opt \"Dawn\"; is_featured = true;
             gallery_metadata = \"{\\\"frame\\\":\\\"oak\\\"}\" };
    $(entry "$EVENING" 1) } })" owner
expect_ok "the gallery is stored"
expect_text "storage_status = variant { ICPOnly }" "it is kept on the Internet Computer"
expect_text "owner_principal = principal \"$(principal_of owner)\"" "it belongs to the owner"
GALLERY=$(field id)

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" owner
expect_ok "it can be read"
expect_text 'title = "One day"' "with its title"
expect_text 'description = opt "From dawn to dusk"' "its description"
expect_text 'gallery_caption = opt "Dawn"' "a caption"
expect_text 'gallery_metadata = "{\"frame\":\"oak\"}"' "and metadata as they were sent"
expect_text "memory_id = \"$MORNING\"" "the first photo is in it"
expect_text "memory_id = \"$EVENING\"" "so is the second"

query "$BACKEND" get_my_galleries '()' owner
expect_text "$GALLERY" "the owner's list has it"

section "Who sees it"

query "$BACKEND" get_gallery_by_id "(\"$GALLERY\")" stranger
expect_err NotFound "someone else can't see a private gallery"

query "$BACKEND" get_user_galleries "(principal \"$(principal_of owner)\")" stranger
expect_no_text "$GALLERY" "nor find it in the owner's list"

call "$BACKEND" store_gallery_forever \
  "(record { title = \"For all\"; is_public = true; memory_entries = vec { $(entry "$EVENING" 0) } })" owner
expect_ok "a public gallery is stored"
PUBLIC=$(field id)

query "$BACKEND" get_gallery_by_id "(\"$PUBLIC\")"
expect_ok "which anyone sees"

query "$BACKEND" get_user_galleries "(principal \"$(principal_of owner)\")" stranger
expect_text "$PUBLIC" "and finds in the owner's list"

query "$BACKEND" get_memory_from_capsule "(\"$EVENING\")" stranger
expect_err NotFound "its photos keep their own access rules"

section "Refused"

call "$BACKEND" store_gallery_forever '(record { title = "x"; is_public = true; memory_entries = vec {} })'
expect_rejected "an anonymous caller can't store a gallery"

call "$BACKEND" store_gallery_forever '(record { title = "x"; is_public = true; memory_entries = vec {} })' stranger
expect_err NotFound "without a capsule there is no place for one"

call "$BACKEND" store_gallery_forever '(record { title = ""; is_public = true; memory_entries = vec {} })' owner
expect_err InvalidArgument "a gallery must have a title"

call "$BACKEND" store_gallery_forever \
  "(record { title = \"x\"; is_public = true; memory_entries = vec { $(entry mem-unknown 0) } })" owner
expect_err NotFound "a gallery can't name a memory that doesn't exist"
expect_text 'id = "mem-unknown"' "and the error says which"

call "$BACKEND" register_capsule '()' stranger
expect_ok "someone else gets a capsule"

call "$BACKEND" store_gallery_forever \
  "(record { title = \"Borrowed\"; is_public = true; memory_entries = vec { $(entry "$MORNING" 0) } })" stranger
expect_err NotFound "but can't show the owner's photo in a gallery"

LONG=$(printf '%10001s' '')
call "$BACKEND" store_gallery_forever \
  "(record { title = \"x\"; description = opt \"$LONG\"; is_public = true; memory_entries = vec {} })" owner
expect_err LimitExceeded "a description has 10,000 characters at most"

query "$BACKEND" get_gallery_by_id '("gal-unknown")' owner
expect_err NotFound "a gallery that doesn't exist is not found"

finish
