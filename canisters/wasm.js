// A Wasm module as a list of its sections, to read and to change (WebAssembly specification, "Binary Format"). Owns the
// format; not what is changed.
'use strict';

const SECTIONS = { CUSTOM: 0, TYPE: 1, IMPORT: 2, FUNCTION: 3, EXPORT: 7, CODE: 10 };
const FUNCTION_NAMES = 1; // a part of the section "name"

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

/** A number with a sign, as constants have it. */
function sleb128(value) {
  const bytes = [];
  for (; value < -0x40 || value > 0x3f; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value & 0x7f]);
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

/** The content of the one section of that number. */
function only(wasm, id) {
  const found = sections(wasm).filter((section) => section.id === id);
  if (found.length !== 1) throw new Error(`the compiled module has ${found.length} sections ${id} instead of one`);
  return found[0].content;
}

/** Entries of a section; `read` is given where one begins, and returns it with its end. */
function entries(content, read) {
  const count = readLeb128(content, 0);
  const found = [];
  for (let offset = count.end; found.length < count.value;) {
    const entry = read(offset);
    found.push(entry);
    offset = entry.end;
  }
  return found;
}

/** The types of functions. */
function readTypes(content) {
  return entries(content, (start) => {
    if (content[start] !== 0x60) throw new Error('the compiled module has a type that is no function');
    const parameters = readLeb128(content, start + 1);
    const results = readLeb128(content, parameters.end + parameters.value);
    return {
      parameters: [...content.subarray(parameters.end, parameters.end + parameters.value)],
      results: [...content.subarray(results.end, results.end + results.value)],
      end: results.end + results.value,
    };
  });
}

/** Imported functions; the compiler's modules import nothing else. */
function readImports(content) {
  return entries(content, (start) => {
    const module = readName(content, start);
    const name = readName(content, module.end);
    if (content[name.end] !== 0) throw new Error(`the compiled module imports ${name.value}, which is no function`);
    const type = readLeb128(content, name.end + 1);
    return { name: `${module.value}.${name.value}`, type: type.value, end: type.end };
  });
}

/** The functions' bodies, each without its length; imported functions have none. */
function readBodies(content) {
  return entries(content, (start) => {
    const size = readLeb128(content, start);
    const end = size.end + size.value;
    return { body: content.subarray(size.end, end), end };
  }).map(({ body }) => body);
}

function isNames({ id, content }) {
  return id === SECTIONS.CUSTOM && readName(content, 0).value === 'name';
}

/** The parts of the section "name": `{ id, content }` each (WebAssembly specification, "Name Section"). */
function nameParts(section) {
  const parts = [];
  for (let offset = readName(section, 0).end; offset < section.length;) {
    const size = readLeb128(section, offset + 1);
    parts.push({ id: section[offset], content: section.subarray(size.end, size.end + size.value) });
    offset = size.end + size.value;
  }
  return parts;
}

/** The number of the one function of that name, among those that the module defines; the compiler names each. */
function functionNumber(wasm, name) {
  const part = sections(wasm).filter(isNames).flatMap(({ content }) => nameParts(content)).find(({ id }) => id === FUNCTION_NAMES);
  const named = part ? entries(part.content, (start) => {
    const index = readLeb128(part.content, start);
    return { index: index.value, ...readName(part.content, index.end) };
  }).filter(({ value }) => value === name) : [];
  if (named.length !== 1) throw new Error(`the compiled module has ${named.length} functions "${name}" instead of one`);
  return named[0].index - readImports(only(wasm, SECTIONS.IMPORT)).length;
}

module.exports = {
  SECTIONS, changeSections, entries, functionNumber, isNames, leb128, nameParts, only, readBodies, readImports, readLeb128, readName,
  readTypes, sections, sized, sleb128,
};
