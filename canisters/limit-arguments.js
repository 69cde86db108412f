// Puts a check before each method of a compiled canister: arguments that are larger than the method takes, from a person or
// from a canister, are refused before a byte of them is copied or decoded, and of those that are taken only so many values
// are decoded. Motoko decodes arguments before the first line of a method, and a canister's call passes no inspection, so
// that this can't be said in Motoko. Owns the check; the numbers are those of capsule/ArgumentLimits.mo, which the
// compiler's own interpreter computes.
//
// Who calls by a message of their own has a self-authenticating id, the hash of a public key, which has 29 bytes and ends
// in 2; canisters have opaque ids, which the network makes (interface specification, "Special forms of Principals"). The
// network says who called, and takes a message only with that key's signature, so that no canister can seem to be a person.
'use strict';
const { assemble } = require('./wasm-code.js');
const {
  SECTIONS, changeSections, entries, functionNumber, leb128, only, readBodies, readImports, readLeb128, readName, readTypes, sized,
} = require('./wasm.js');

const { TYPE, IMPORT, FUNCTION, EXPORT, CODE } = SECTIONS;
const I32 = 0x7f, I64 = 0x7e;
const SELF_AUTHENTICATING = { size: 29, last: 2 };
const METHOD = /^canister_(?:update|query) (\w+)$/;
const COMPILERS_OWN = /^__motoko_/; // methods without arguments, which the compiler adds to ours
const NO_ARGUMENTS = { most: 256, anyones: 256, values: 100 };

function readExports(content) {
  return entries(content, (start) => {
    const name = readName(content, start);
    const index = readLeb128(content, name.end + 1);
    return { name: name.value, kind: content[name.end], index: index.value, end: index.end };
  });
}

/** The names of our methods that the module exports. */
function methods(wasm) {
  const names = readExports(only(wasm, EXPORT)).map(({ name }) => METHOD.exec(name)).filter(Boolean);
  return names.map((match) => match[1]).filter((name) => !COMPILERS_OWN.test(name)).sort();
}

/**
 * The globals of the compiler's limits for what is decoded. It takes numerator * bytes / denominator + bias values, and a table
 * of types that is times as long as its own, and some bytes longer. They are those that its functions set, in this order:
 *   global.set numerator, local.get, (i64.const 32, i64.shr_u,) global.set denominator, global.get denominator, ... (is it 0?)
 *   local.get, (i64.const 32, i64.shr_u,) global.set bias, end
 */
function decodingLimits(wasm) {
  const bodies = readBodies(only(wasm, CODE));
  const found = (name, pattern) => {
    const match = pattern.exec(bodies[functionNumber(wasm, name)].toString('latin1'));
    if (!match) throw new Error(`the globals that ${name} sets were not found`);
    return match.slice(1).map((each) => each.charCodeAt(0));
  };
  const next = '\\x20.(?:\\x42\\x20\\x88)?\\x24(.)';
  const [numerator, denominator, bias] = found('setCandidLimits', new RegExp(`\\x24(.)${next}\\x23\\2[^]*${next}\\x0b$`));
  const [times] = found('setCandidTypeLimits', new RegExp(`\\x24(.)${next}\\x0b$`));
  return { numerator, denominator, bias, times };
}

/**
 * By method, what it takes (capsule/ArgumentLimits.mo): `most` bytes, of them `anyones` from whoever calls, and of those so
 * many `values`; of larger arguments one for each `bytesPerValue`, and `moreValues`.
 */
function limits(compiler, names) {
  const asked = ['most(#NAME)', 'anyones(#NAME)', 'values(#NAME)', 'bytesPerValue(#NAME)', 'moreValues'];
  const line = asked.map((number) => `Nat.toText(${number})`).join(' # " " # ');
  compiler.write('limits.mo', [
    'import Debug "mo:core/Debug";', 'import Nat "mo:core/Nat";',
    'import { most; anyones; values; bytesPerValue; moreValues } "capsule/ArgumentLimits";',
    ...names.map((name) => `Debug.print(${line.replaceAll('NAME', name)});`),
  ].join('\n'));
  const { result, stdout, stderr } = compiler.run('limits.mo');
  const lines = stdout.split('\n').filter((each) => /^\d+( \d+){4}$/.test(each));
  if (result.error || lines.length !== names.length) throw new Error(`the limits can't be computed: ${stderr}`);
  return new Map(names.map((name, at) => {
    const [most, anyones, values, bytesPerValue, moreValues] = lines[at].split(' ').map(Number);
    return [name, { most, anyones, values, bytesPerValue, moreValues }];
  }));
}

/** What a method answers to arguments that are too large. */
function refusals({ most, anyones }) {
  const bytes = (limit) => `the argument has more than the ${limit.toLocaleString('en-US')} bytes that this method takes`;
  return { larger: bytes(most), ofCanister: anyones ? `${bytes(anyones)} from a canister` : 'this method takes nothing from a canister' };
}

/** Traps with the text, which is written over the memory's first bytes: a trap takes back whatever was written. */
function refusal(type, trap, text) {
  const padded = Buffer.concat([Buffer.from(text), Buffer.alloc(8)]);
  const code = [];
  for (let at = 0; at < text.length; at += 8) {
    const [low, high] = [padded.readUInt32LE(at), padded.readUInt32LE(at + 4)];
    code.push(`${type}.const ${at}; i64.const ${high}; i64.const 32; i64.shl; i64.const ${low}; i64.or; i64.store`);
  }
  return assemble([], [], `${code.join('\n')}; ${type}.const 0; ${type}.const ${text.length}; call ${trap}`);
}

/**
 * Returns (i32) whether a person calls. The last byte of their id passes through the memory's first byte, which is put back.
 */
function personCalls(type, { callerSize, callerCopy }) {
  const { size, last } = SELF_AUTHENTICATING;
  return assemble([], [['i32', ['before']]], `
    call ${callerSize}; ${type}.const ${size}; ${type}.eq
    if i32
      ${type}.const 0; i32.load8_u; local.set $before
      ${type}.const 0; ${type}.const ${size - 1}; ${type}.const 1; call ${callerCopy}
      ${type}.const 0; i32.load8_u; i32.const ${last}; i32.eq
      ${type}.const 0; local.get $before; i32.store8
    else
      i32.const 0
    end`);
}

const SAVED = ['first', 'second', 'third', 'fourth']; // locals for globals that are changed

/** Calls the method with limits for what is decoded changed meanwhile; a trap takes everything back. */
function callLimited(type, method, changes) {
  const saved = changes.map(([global], at) => `global.get ${global}; local.set $${SAVED[at]}`);
  const set = changes.map(([global, value]) => `${type}.const ${value}; global.set ${global}`);
  const restored = changes.map(([global], at) => `local.get $${SAVED[at]}; global.set ${global}`);
  return [...saved, ...set, `call ${method}`, ...restored].join('\n');
}

/** Compares the arguments' size with what the caller may send, and calls the method. */
function check(type, functions, globals, limit, refuse, method) {
  const ifLarger = (bytes, code) => `call ${functions.size}; ${type}.const ${bytes}; ${type}.gt_u; if; ${code}; end`;
  const few = [[globals.times, 1], [globals.numerator, 0], [globals.bias, limit.values]];
  const many = [
    [globals.times, 1], [globals.numerator, 1], [globals.denominator, limit.bytesPerValue], [globals.bias, limit.moreValues],
  ];
  const large = limit.most === limit.anyones ? `call ${refuse.larger}` : `
    ${ifLarger(limit.most, `call ${refuse.larger}`)}
    call ${functions.personCalls}; i32.eqz; if; call ${refuse.ofCanister}; end
    ${callLimited(type, method, many)}
    return`;
  return assemble([], [[type, SAVED]], `
    ${ifLarger(limit.anyones, large)}
    ${callLimited(type, method, few)}`);
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
    const index = imports.findIndex((each) => each.name === `ic0.${name}`);
    if (index < 0) throw new Error(`the compiled module doesn't import ${name}`);
    return index;
  };
  const typeOf = (...results) => {
    const index = types.findIndex((type) => type.parameters.length === 0 && String(type.results) === String(results));
    if (index < 0) throw new Error(`the compiled module has no type of functions with the results ${results}`);
    return index;
  };
  const first = imports.length + readLeb128(only(wasm, FUNCTION), 0).value;
  const added = []; // { type, code } each
  const add = (type, code) => first + added.push({ type, code }) - 1;

  const size = imported('msg_arg_data_size');
  const type = types[imports[size].type].results[0] === I64 ? 'i64' : 'i32';
  const caller = { callerSize: imported('msg_caller_size'), callerCopy: imported('msg_caller_copy') };
  const functions = { size, personCalls: add(typeOf(I32), personCalls(type, caller)) };
  const globals = decodingLimits(wasm);
  const texts = new Map();
  const refuse = (text) => {
    if (!texts.has(text)) texts.set(text, add(typeOf(), refusal(type, imported('trap'), text)));
    return texts.get(text);
  };
  const redirected = exports.map(({ name, kind, index }) => {
    const method = METHOD.exec(name);
    const limit = method && (COMPILERS_OWN.test(method[1]) ? NO_ARGUMENTS : limitOf.get(method[1]));
    const refusing = method && Object.fromEntries(Object.entries(refusals(limit)).map(([why, text]) => [why, refuse(text)]));
    const target = method ? add(typeOf(), check(type, functions, globals, limit, refusing, index)) : index;
    return Buffer.concat([sized(Buffer.from(name)), Buffer.from([kind]), leb128(target)]);
  });
  return changeSections(wasm, ({ id, content }) => {
    if (id === FUNCTION) return extended(content, added.map(({ type }) => leb128(type)));
    if (id === EXPORT) return Buffer.concat([leb128(redirected.length), ...redirected]);
    return id === CODE ? extended(content, added.map(({ code }) => code)) : content;
  });
}

module.exports = { limitArguments, limits, methods };
