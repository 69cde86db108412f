#!/usr/bin/env bash
# Memory upload: bytes that travel in one call, bytes in chunks, and what is refused.
set -euo pipefail
# shellcheck source=test_utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_utils.sh"

set_up owner stranger

call "$BACKEND" register_capsule '()' owner
expect_ok "the owner has a capsule"

section "Bytes in one call"

HERE_BYTES='blob_ref = record { kind = variant { ICPCapsule }; locator = "" }'
PHOTO='memory_type = variant { Image }; name = "Sunset"; content_type = "image/png"'

# Every byte there is, so that nothing on the way may change one.
for byte in $(seq 0 255); do printf '%b' "\\x$(printf '%02x' "$byte")"; done >"$WORK_DIR/photo"

call "$BACKEND" add_memory_to_capsule \
  "(record { $HERE_BYTES; data = opt $(candid_blob "$WORK_DIR/photo") }, record { $PHOTO })" owner
expect_ok "a photo of 256 bytes is stored"
MEMORY=$(ok_text)

query "$BACKEND" get_memory_from_capsule "(\"$MEMORY\")" owner
expect_bytes "$WORK_DIR/photo" "its bytes come back unchanged"
expect_text "size = 256 : nat64" "its size is known"
expect_text "access = variant { Private }" "it is private unless said otherwise"

query "$BACKEND" read_memory_chunk "(\"$MEMORY\", 0)" owner
expect_bytes "$WORK_DIR/photo" "they can be read as a chunk, too"

query "$BACKEND" read_memory_chunk "(\"$MEMORY\", 1)" owner
expect_err InvalidArgument "there is no second chunk"

call "$BACKEND" add_memory_to_capsule \
  "(record { blob_ref = record { kind = variant { MemoryBlobKindExternal }; locator = \"https://example.org/1\" } },
    record { $PHOTO })" owner
expect_ok "a memory may point to bytes elsewhere"

section "Refused in one call"

call "$BACKEND" add_memory_to_capsule "(record { $HERE_BYTES; data = opt blob \"x\" }, record { $PHOTO })"
expect_rejected "an anonymous caller can't add a memory"

call "$BACKEND" add_memory_to_capsule "(record { $HERE_BYTES; data = opt blob \"x\" }, record { $PHOTO })" stranger
expect_err NotFound "without a capsule there is no place for one"

call "$BACKEND" add_memory_to_capsule \
  "(record { $HERE_BYTES; data = opt blob \"x\" },
    record { memory_type = variant { Note }; name = \"\"; content_type = \"text/plain\" })" owner
expect_err InvalidArgument "a memory must have a name"

call "$BACKEND" add_memory_to_capsule \
  "(record { $HERE_BYTES; data = opt blob \"x\" }, record { $PHOTO; capsule_id = opt \"cap-unknown\" })" owner
expect_err NotFound "a capsule that doesn't exist takes nothing"

call "$BACKEND" add_memory_to_capsule \
  "(record { blob_ref = record { kind = variant { MemoryBlobKindExternal }; locator = \"\" } }, record { $PHOTO })" owner
expect_err InvalidArgument "bytes elsewhere need a place"

section "Bytes in chunks: a video of three chunks"

# Chunks of 32 KiB, since a command's argument may have 128 KiB on Linux, and a byte takes three characters.
CHUNK=32768
head -c 90000 /dev/urandom >"$WORK_DIR/video"
for index in 0 1 2; do
  dd if="$WORK_DIR/video" of="$WORK_DIR/chunk-$index" bs=$CHUNK skip=$index count=1 2>/dev/null
done
VIDEO='memory_type = variant { Video }; name = "Walk"; content_type = "video/mp4"'

call "$BACKEND" begin_memory_upload \
  "(record { memory = record { $VIDEO }; total_size = 90000; chunk_size = $CHUNK })" owner
expect_ok "an upload begins"
expect_text "total_chunks = 3 : nat32" "it will have three chunks"
UPLOAD=$(field upload_id)

put_chunk() { # INDEX FILE [IDENTITY]
  call "$BACKEND" put_memory_upload_chunk "($UPLOAD, $1, $(candid_blob "$2"), $(candid_sha256 "$2"))" "${3:-owner}"
}

put_chunk 0 "$WORK_DIR/chunk-0"
expect_ok "the first chunk arrives"

put_chunk 0 "$WORK_DIR/chunk-0"
expect_ok "the same chunk again is no error, so that a retry works"

put_chunk 0 "$WORK_DIR/chunk-1"
expect_err ChunkConflict "other bytes in its place are refused"

call "$BACKEND" put_memory_upload_chunk \
  "($UPLOAD, 1, $(candid_blob "$WORK_DIR/chunk-1"), $(candid_sha256 "$WORK_DIR/chunk-0"))" owner
expect_err ChecksumMismatch "a chunk that isn't what its checksum says is refused"

put_chunk 1 "$WORK_DIR/chunk-2"
expect_err InvalidArgument "a chunk of the wrong length is refused"

put_chunk 3 "$WORK_DIR/chunk-2"
expect_err InvalidArgument "a chunk beyond the end is refused"

put_chunk 1 "$WORK_DIR/chunk-1" stranger
expect_rejected "nobody else adds to the upload"

put_chunk 1 "$WORK_DIR/chunk-1" anonymous
expect_rejected "least of all the anonymous caller"

put_chunk 2 "$WORK_DIR/chunk-2"
expect_ok "chunks may come in any order"

query "$BACKEND" get_memory_upload "($UPLOAD)" owner
expect_text "missing_chunks = vec { 1 : nat32" "the upload knows which chunk is missing"

call "$BACKEND" commit_memory_upload "($UPLOAD)" owner
expect_err MissingChunks "it can't be committed before that one is there"

put_chunk 1 "$WORK_DIR/chunk-1"
expect_ok "the last chunk arrives"

call "$BACKEND" commit_memory_upload "($UPLOAD)" owner
expect_ok "the upload becomes a memory"
MEMORY=$(ok_text)

call "$BACKEND" commit_memory_upload "($UPLOAD)" owner
expect_equal "$MEMORY" "$(ok_text)" "committing again gives the same memory"

put_chunk 1 "$WORK_DIR/chunk-1"
expect_rejected "after that no chunk is taken"

section "The video comes back"

: >"$WORK_DIR/downloaded"
for index in 0 1 2; do
  query "$BACKEND" read_memory_chunk "(\"$MEMORY\", $index)" owner
  reply_bytes >>"$WORK_DIR/downloaded"
done
expect_equal "$(sha256 <"$WORK_DIR/video")" "$(sha256 <"$WORK_DIR/downloaded")" "its 90,000 bytes are those that were sent"

query "$BACKEND" list_capsule_memories '(null, record {})' owner
expect_text "total_chunks = 3 : nat32" "the list shows its chunks"
expect_text "size = 90000 : nat64" "and its size"

query "$BACKEND" read_memory_chunk "(\"$MEMORY\", 0)" stranger
expect_err NotFound "it is private"

section "Uploads that don't come to anything"

call "$BACKEND" begin_memory_upload \
  "(record { memory = record { $VIDEO }; total_size = 2000000000; chunk_size = 2000000 })" owner
expect_err LimitExceeded "an upload may have a gigabyte at most"

call "$BACKEND" begin_memory_upload "(record { memory = record { $VIDEO }; total_size = 10; chunk_size = 0 })" owner
expect_err InvalidArgument "a chunk has one byte at least"

call "$BACKEND" begin_memory_upload "(record { memory = record { $VIDEO }; total_size = 10; chunk_size = 10 })" owner
expect_ok "another upload begins"
UPLOAD=$(field upload_id)

call "$BACKEND" abort_memory_upload "($UPLOAD)" stranger
expect_err NotFound "nobody else ends it"

call "$BACKEND" abort_memory_upload "($UPLOAD)" owner
expect_ok "its owner does"

call "$BACKEND" commit_memory_upload "($UPLOAD)" owner
expect_err NotFound "then it is gone"

finish
