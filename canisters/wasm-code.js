// The code of a Wasm function as text, to write and to recognise (WebAssembly specification, "Instructions"). Owns the
// instructions' encoding; not what a function does.
//
// Text is one instruction a line or between semicolons: `local.get $a; i32.const 6; i32.rotr`.
'use strict';
const { leb128, readLeb128, sized, sleb128 } = require('./wasm.js');

const OPCODES = {
  unreachable: 0x00, loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, br_if: 0x0d, return: 0x0f, call: 0x10,
  'local.get': 0x20, 'local.set': 0x21, 'local.tee': 0x22, 'global.get': 0x23, 'global.set': 0x24,
  'i32.load': 0x28, 'i64.load': 0x29, 'i32.load8_u': 0x2d, 'i64.load8_u': 0x31,
  'i32.store': 0x36, 'i64.store': 0x37, 'i32.store8': 0x3a,
  'i32.const': 0x41, 'i64.const': 0x42,
  'i32.eqz': 0x45, 'i32.eq': 0x46, 'i32.ne': 0x47, 'i32.lt_u': 0x49, 'i32.gt_u': 0x4b,
  'i64.eqz': 0x50, 'i64.eq': 0x51, 'i64.ne': 0x52, 'i64.lt_u': 0x54, 'i64.gt_u': 0x56,
  'i32.ctz': 0x68, 'i32.add': 0x6a, 'i32.sub': 0x6b, 'i32.and': 0x71, 'i32.or': 0x72, 'i32.xor': 0x73, 'i32.shl': 0x74,
  'i32.shr_s': 0x75, 'i32.shr_u': 0x76, 'i32.rotl': 0x77, 'i32.rotr': 0x78,
  'i64.ctz': 0x7a, 'i64.add': 0x7c, 'i64.sub': 0x7d, 'i64.and': 0x83, 'i64.or': 0x84, 'i64.shl': 0x86, 'i64.shr_s': 0x87,
  'i64.shr_u': 0x88, 'i32.wrap_i64': 0xa7,
};
const NAMES = new Map(Object.entries(OPCODES).map(([name, opcode]) => [opcode, name]));
const TYPES = { i32: 0x7f, i64: 0x7e };
const NO_RESULT = 0x40;

/** Which immediates stand behind an opcode. Throws for one that isn't known here. */
function immediatesOf(opcode) {
  if (opcode >= 0x02 && opcode <= 0x04) return 'block';
  if (opcode >= 0x28 && opcode <= 0x3e) return 'memory';
  if (opcode === 0x41 || opcode === 0x42) return 'number';
  if (opcode === 0x0c || opcode === 0x0d || opcode === 0x10 || (opcode >= 0x20 && opcode <= 0x24)) return 'index';
  if ([0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b].includes(opcode) || (opcode >= 0x45 && opcode <= 0xc4)) return 'none';
  throw new Error(`the instruction 0x${opcode.toString(16)} is not known here`);
}

function instruction(line, locals) {
  const [name, operand] = line.trim().split(/\s+/);
  const opcode = OPCODES[name];
  if (opcode === undefined) throw new Error(`there is no instruction ${name}`);
  switch (immediatesOf(opcode)) {
    case 'block': return [opcode, operand ? TYPES[operand] : NO_RESULT];
    case 'number': return [opcode, ...sleb128(Number(operand))];
    // No alignment is promised, and none is needed.
    case 'memory': return [opcode, 0, ...leb128(operand ? Number(operand.replace('offset=', '')) : 0)];
    case 'index': {
      const index = operand.startsWith('$') ? locals.indexOf(operand.slice(1)) : Number(operand);
      if (index < 0) throw new Error(`there is no local ${operand}`);
      return [opcode, ...leb128(index)];
    }
    default: return [opcode];
  }
}

/**
 * A function's entry in the code section. `parameters` are names; `locals` are pairs of a type and names, in their order;
 * blocks have no results, unless a type says so: `if i32`.
 */
function assemble(parameters, locals, text) {
  const names = [...parameters, ...locals.flatMap(([, group]) => group)];
  const groups = locals.map(([type, group]) => Buffer.from([...leb128(group.length), TYPES[type]]));
  const lines = text.split(/[;\n]/).filter((line) => line.trim());
  const code = lines.flatMap((line) => instruction(line, names));
  return sized(Buffer.concat([leb128(locals.length), ...groups, Buffer.from(code), Buffer.from([OPCODES.end])]));
}

/** A constant; those of more than 53 bits are rounded, which is enough to see that they aren't small ones. */
function readNumber(bytes, start) {
  const { value, end } = readLeb128(bytes, start);
  const bits = 7 * (end - start);
  return { value: bytes[end - 1] & 0x40 ? value - 2 ** bits : value, end };
}

/**
 * A function's body (without its length) as text in one line. Which local, function or type an instruction means is left
 * out: these differ between builds of the same source.
 */
function disassemble(body) {
  let at = readLeb128(body, 0);
  for (let groups = at.value; groups > 0; groups -= 1) at = { end: readLeb128(body, at.end).end + 1 };
  const lines = [];
  for (let offset = at.end; offset < body.length;) {
    const opcode = body[offset];
    let line = NAMES.get(opcode) ?? `0x${opcode.toString(16)}`;
    offset += 1;
    const kind = immediatesOf(opcode);
    if (kind === 'number') {
      const number = readNumber(body, offset);
      line += ` ${number.value}`;
      offset = number.end;
    } else if (kind === 'memory') {
      const place = readLeb128(body, readLeb128(body, offset).end);
      if (place.value) line += ` offset=${place.value}`;
      offset = place.end;
    } else if (kind !== 'none') offset = readLeb128(body, offset).end;
    lines.push(line);
  }
  return `; ${lines.join('; ')};`;
}

/** How often the instructions of `text` follow each other in what `disassemble` returned. */
function occurrences(disassembled, text) {
  const wanted = `; ${text.split(/[;\n]/).map((line) => line.trim()).filter(Boolean).join('; ')};`;
  let count = 0;
  for (let at = disassembled.indexOf(wanted); at >= 0; at = disassembled.indexOf(wanted, at + 1)) count += 1;
  return count;
}

module.exports = { assemble, disassemble, occurrences };
