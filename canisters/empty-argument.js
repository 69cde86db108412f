// Lets a compiled canister be installed and upgraded with no bytes as its argument, as icp-cli does it where none is given: they
// count as the Candid of no values, `DIDL\0\0`. Motoko traps there. Owns this; not which arguments a canister can do without,
// which is for its types to say. Whatever isn't as expected of the compiled module stops the build.
'use strict';
const { assemble } = require('./wasm-code.js');
const { SECTIONS, changeSections, functionNumber, leb128, only, readBodies, readImports, readLeb128, readTypes, sized } = require('./wasm.js');

const { TYPE, IMPORT, FUNCTION, CODE } = SECTIONS;
const I64 = 0x7e;
const NO_VALUES = 6; // bytes
const MAGIC = 0x4c444944; // "DIDL", little-endian

/** The body with the one call of `before` replaced by one of `after`. */
function recalled(body, before, after) {
  const call = Buffer.concat([Buffer.from([0x10]), leb128(before)]);
  const at = body.indexOf(call);
  if (at < 0 || body.indexOf(call, at + 1) >= 0) throw new Error(`init doesn't call the import ${before} once`);
  return Buffer.concat([body.subarray(0, at + 1), leb128(after), body.subarray(at + call.length)]);
}

/** The module whose `init`, through which installations and upgrades go, reads no bytes as no values. */
function takeEmptyArgument(wasm) {
  const [types, imports] = [readTypes(only(wasm, TYPE)), readImports(only(wasm, IMPORT))];
  const imported = (name) => {
    const index = imports.findIndex((each) => each.name === `ic0.${name}`);
    if (index < 0) throw new Error(`the compiled module doesn't import ${name}`);
    return index;
  };
  const [size, copy] = [imported('msg_arg_data_size'), imported('msg_arg_data_copy')];
  const type = types[imports[size].type].results[0] === I64 ? 'i64' : 'i32';
  const first = imports.length + readLeb128(only(wasm, FUNCTION), 0).value;
  const init = functionNumber(wasm, 'init');
  const added = [
    { of: size, code: assemble([], [], `
      call ${size}; ${type}.eqz
      if ${type}; ${type}.const ${NO_VALUES}; else; call ${size}; end`) },
    { of: copy, code: assemble(['target', 'offset', 'size'], [], `
      call ${size}; ${type}.eqz
      if
        local.get $target; i32.const ${MAGIC}; i32.store
        local.get $target; i32.const 0; i32.store8 offset=4
        local.get $target; i32.const 0; i32.store8 offset=5
      else
        local.get $target; local.get $offset; local.get $size; call ${copy}
      end`) },
  ];
  const bodies = readBodies(only(wasm, CODE));
  bodies[init] = recalled(recalled(bodies[init], size, first), copy, first + 1);
  return changeSections(wasm, ({ id, content }) => {
    if (id === FUNCTION) {
      const count = readLeb128(content, 0);
      return Buffer.concat([leb128(count.value + added.length), content.subarray(count.end), ...added.map(({ of }) => leb128(imports[of].type))]);
    }
    if (id !== CODE) return content;
    return Buffer.concat([leb128(bodies.length + added.length), ...bodies.map(sized), ...added.map(({ code }) => code)]);
  });
}

module.exports = { takeEmptyArgument };
