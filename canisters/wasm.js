// A Wasm module as a list of its sections, to read and to change (WebAssembly specification, "Binary Format"). Owns the
// format; not what is changed.
'use strict';

/** The number at `start`, and where it ends. */
function readLeb128(bytes, start) {
  let value = 0;
  for (let offset = start, shift = 0; ; offset += 1, shift += 7) {
    value += (bytes[offset] & 0x7f) * 2 ** shift;
    if (bytes[offset] < 0x80) return { value, end: offset + 1 };
  }
}

function leb128(value) {
  const bytes = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Buffer.from([...bytes, value]);
}

/** A number with a sign, as constants have it; of numbers that have none. */
function sleb128(value) {
  const bytes = [];
  for (; value > 0x3f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Buffer.from([...bytes, value]);
}

/** Bytes with their length before them. */
function sized(bytes) {
  return Buffer.concat([leb128(bytes.length), bytes]);
}

/** The sections in their order: `{ id, content }` each. */
function sections(wasm) {
  const found = [];
  for (let offset = 8; offset < wasm.length;) {
    const size = readLeb128(wasm, offset + 1);
    found.push({ id: wasm[offset], content: wasm.subarray(size.end, size.end + size.value) });
    offset = size.end + size.value;
  }
  return found;
}

/** The module whose sections `change` has changed: it is given each, and returns its content. */
function changeSections(wasm, change) {
  const parts = sections(wasm).map((section) => Buffer.concat([Buffer.from([section.id]), sized(change(section))]));
  return Buffer.concat([wasm.subarray(0, 8), ...parts]);
}

/** A name at `start`, and where it ends. */
function readName(bytes, start) {
  const length = readLeb128(bytes, start);
  const end = length.end + length.value;
  return { value: bytes.subarray(length.end, end).toString(), end };
}

module.exports = { changeSections, leb128, readLeb128, readName, sections, sized, sleb128 };
