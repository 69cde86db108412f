// Puts a check before each method of a compiled canister: arguments that are larger than the method takes are refused
// before a byte of them is copied or decoded, whoever calls. Motoko decodes arguments before the first line of a method, and
// a canister's call passes no inspection, so that this can't be said in Motoko. Owns the check; the numbers are those of
// capsule/ArgumentLimits.mo, which the compiler's own interpreter computes.
'use strict';
const {
  SECTIONS, changeSections, entries, leb128, only, readImports, readLeb128, readName, readTypes, sized, sleb128,
} = require('./wasm.js');

const { TYPE, IMPORT, FUNCTION, EXPORT, CODE } = SECTIONS;
const I64 = 0x7e;
const METHOD = /^canister_(?:update|query) ([a-z]\w*)$/; // the compiler has methods of its own, with other first letters
const REFUSAL = Buffer.from('the argument is larger than this method takes');

function readExports(content) {
  return entries(content, (start) => {
    const name = readName(content, start);
    const index = readLeb128(content, name.end + 1);
    return { name: name.value, kind: content[name.end], index: index.value, end: index.end };
  });
}

/** The names of the methods that the module exports. */
function methods(wasm) {
  const names = readExports(only(wasm, EXPORT)).map(({ name }) => METHOD.exec(name)).filter(Boolean);
  return names.map((match) => match[1]).sort();
}

/** What each of these methods takes at most, in bytes, by its name: `most` of capsule/ArgumentLimits.mo. */
function limits(compiler, names) {
  const shown = names.map((name) => `Debug.print(Nat.toText(ArgumentLimits.most(#${name})));`);
  compiler.write('limits.mo', [
    'import Debug "mo:core/Debug";', 'import Nat "mo:core/Nat";', 'import ArgumentLimits "capsule/ArgumentLimits";',
    ...shown,
  ].join('\n'));
  const { result, stdout, stderr } = compiler.run('limits.mo');
  const numbers = stdout.split('\n').filter((line) => /^\d+$/.test(line)).map(Number);
  if (result.error || numbers.length !== names.length) throw new Error(`the limits can't be computed: ${stderr}`);
  return new Map(names.map((name, at) => [name, numbers[at]]));
}

function body(code) {
  return sized(Buffer.from([0, ...code, 0x0b])); // no locals
}

/** Traps with the text, which is written over the memory's first bytes: a trap takes back whatever was written. */
function refusal(is64, trap) {
  const address = is64 ? 0x42 : 0x41; // i64.const, i32.const
  const padded = Buffer.concat([REFUSAL, Buffer.alloc(8)]);
  const code = [];
  for (let at = 0; at < REFUSAL.length; at += 8) {
    // (i64.store (i32.const at) (i64.or (i64.shl (i64.const high) (i64.const 32)) (i64.const low)))
    const [low, high] = [padded.readUInt32LE(at), padded.readUInt32LE(at + 4)];
    code.push(address, ...sleb128(at), 0x42, ...sleb128(high), 0x42, 32, 0x86, 0x42, ...sleb128(low), 0x84, 0x37, 0, 0);
  }
  return body([...code, address, 0, address, ...sleb128(REFUSAL.length), 0x10, ...leb128(trap)]);
}

/** Refuses arguments above the limit, and calls the method. */
function check(is64, size, limit, refuse, method) {
  const [constant, above] = is64 ? [0x42, 0x56] : [0x41, 0x4b]; // iNN.const, iNN.gt_u
  return body([
    0x10, ...leb128(size), constant, ...sleb128(limit), above,
    0x04, 0x40, 0x10, ...leb128(refuse), 0x0b, // if ... end
    0x10, ...leb128(method),
  ]);
}

/** The content of a section with entries added to it. */
function extended(content, added) {
  const count = readLeb128(content, 0);
  return Buffer.concat([leb128(count.value + added.length), content.subarray(count.end), ...added]);
}

/** The module with a check before each of its methods. Functions are added behind all others, so that none moves. */
function limitArguments(wasm, limitOf) {
  const [types, imports, exports] = [readTypes(only(wasm, TYPE)), readImports(only(wasm, IMPORT)), readExports(only(wasm, EXPORT))];
  const imported = (name) => {
    const index = imports.findIndex((each) => each.name === name);
    if (index < 0) throw new Error(`the compiled module doesn't import ${name}`);
    return index;
  };
  const [size, trap] = [imported('ic0.msg_arg_data_size'), imported('ic0.trap')];
  const is64 = types[imports[size].type].results[0] === I64;
  const plain = types.findIndex(({ parameters, results }) => parameters.length === 0 && results.length === 0);
  const refuse = imports.length + readLeb128(only(wasm, FUNCTION), 0).value;
  const code = [refusal(is64, trap)];
  const redirected = exports.map(({ name, kind, index }) => {
    const method = METHOD.exec(name);
    if (method) code.push(check(is64, size, limitOf.get(method[1]), refuse, index));
    return Buffer.concat([sized(Buffer.from(name)), Buffer.from([kind]), leb128(method ? refuse + code.length - 1 : index)]);
  });
  return changeSections(wasm, ({ id, content }) => {
    if (id === FUNCTION) return extended(content, code.map(() => leb128(plain)));
    if (id === EXPORT) return Buffer.concat([leb128(redirected.length), ...redirected]);
    return id === CODE ? extended(content, code) : content;
  });
}

module.exports = { limitArguments, limits, methods };
