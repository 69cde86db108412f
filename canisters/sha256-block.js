// Replaces the body of one compiled function, `absorb` of capsule/sha256/Sha256.mo, by handwritten Wasm that does the same:
// SHA-256's compression function (FIPS 180-4, 6.2.2) over any number of blocks, in 77 instructions a byte instead of 144.
// The compiler keeps no 32-bit number in a register of 32 bits, rotates none of them in one instruction, and checks and
// converts each byte of a Blob.
//
// Owns the code, and what has to be true of the compiled module for it. Whatever isn't as expected here stops the build.
//
// What it depends on, of how the compiler lays out objects, is what the body that it replaces does itself: where the bytes of
// a Blob and the elements of an array are, where their lengths, and which form small naturals have as arguments (`LAYOUTS`).
// Each of these is found, as instructions, in the body as the compiler made it, and as often as the source has it; another
// layout would give other instructions. Nothing else of the runtime is touched: no global, no function, no allocation.
//
// Why it may hold addresses: the runtime moves objects when it collects garbage, which it does where something is allocated
// or a message begins or ends, in functions that the code calls. This one calls none. In the 64-bit build, whose objects may
// have moved before, addresses are read from the objects' forwarding pointers first, as the compiler's own code does. The
// only writes are bytes of an array of Nat8, into elements that keep their tags: no pointer changes, so that no collector has
// to be told (the compiler has no write barrier there either).
'use strict';
const { assemble, disassemble, occurrences } = require('./wasm-code.js');
const {
  SECTIONS, changeSections, entries, functionNumber, isNames, leb128, nameParts, only, readBodies, readImports, readLeb128,
  readName, readTypes, sized,
} = require('./wasm.js');

const LOCAL_NAMES = 2; // a part of the section "name"
const WORDS = [...'abcdefgh'];
const TYPE_BYTES = { i32: 0x7f, i64: 0x7e };

// Both layouts. `found`: what of the replaced body (`absorb`) and of the function that reads its bytes (`load4`) says so, and
// how often it is there. Pointers are one less than addresses, hence the odd numbers.
const LAYOUTS = {
  // 32 bits, classical persistence: objects are where their pointers say.
  i32: {
    forwarded: '',
    lengthAt: 5,
    bytesAt: 9,
    element: 4,
    naturalShift: 1,
    found: {
      absorb: [
        // state[i]: elements of 4 bytes, the Nat8 in the highest; they are read and written.
        [32, 'local.get; i32.const 2; i32.add; i32.const 2; i32.shl; local.get; i32.add; i32.load offset=1; i32.const 24; i32.shr_u'],
        [32, 'local.get; i32.const 2; i32.add; i32.const 2; i32.shl; local.get; i32.add; local.get; i32.store offset=1'],
        // state's length
        [64, 'local.get; local.get; i32.load offset=5; i32.lt_u'],
        // start, blocks: even numbers are twice the natural, others are pointers.
        [2, 'local.tee; i32.ctz; if; local.get; i32.const 1; i32.shr_s; else; local.get; call; end'],
      ],
      load4: [
        [16, 'local.get; local.get; i32.load offset=5; i32.lt_u'],
        [16, 'local.get; i32.const 9; i32.add; local.get; i32.add; i32.load8_u'],
      ],
    },
  },
  // 64 bits, enhanced persistence: objects are where their forwarding pointers say.
  i64: {
    forwarded: 'i64.load offset=9',
    lengthAt: 17,
    bytesAt: 25,
    element: 8,
    naturalShift: 2,
    found: {
      absorb: [
        [32, `local.get; i64.const 3; i64.add; i64.const 3; i64.shl; local.get; i64.load offset=9; i64.add; i64.load offset=1;
              i64.const ${-(2 ** 56)}; i64.and; i64.const 56; i64.shr_u`],
        [32, `local.get; i64.const 3; i64.add; i64.const 3; i64.shl; local.get; i64.load offset=9; i64.add; local.get;
              i64.const ${2 ** 54}; i64.or; i64.store offset=1`],
        [64, 'local.get; local.get; i64.load offset=9; i64.load offset=17; i64.lt_u'],
        [2, 'local.tee; i64.ctz; i32.wrap_i64; if; local.get; i64.const 2; i64.shr_s; else; local.get; call'],
      ],
      load4: [
        [16, 'local.get; local.get; i64.load offset=9; i64.load offset=17; i64.lt_u'],
        [16, 'local.get; i64.const 25; i64.add; local.get; i64.load offset=9; i64.add; i64.load8_u'],
      ],
    },
  },
};

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2), with sign. */
function roundConstants() {
  const constants = [];
  for (let candidate = 2; constants.length < 64; candidate += 1) {
    let divisor = 2;
    while (candidate % divisor) divisor += 1;
    if (divisor < candidate) continue;
    const scaled = BigInt(candidate) << 96n;
    let root = 0n;
    for (let bit = 1n << 35n; bit; bit >>= 1n) if ((root + bit) ** 3n <= scaled) root += bit;
    constants.push(Number(BigInt.asIntN(32, root)));
  }
  return constants;
}

/** Leaves the four bytes from `offset` on as one word; the first is the highest. */
const swappedWord = (offset, word) => `
  local.get $at; i32.load offset=${offset}; local.tee $${word}; i32.const ${0x00ff00ff}; i32.and; i32.const 8; i32.rotr
  local.get $${word}; i32.const 8; i32.rotl; i32.const ${0x00ff00ff}; i32.and; i32.or; local.set $${word}`;

const rotations = (word, first, second, last) => `
  local.get $${word}; i32.const ${first}; i32.rotr; local.get $${word}; i32.const ${second}; i32.rotr; i32.xor
  local.get $${word}; ${last}; i32.xor`;
const sigma = (word, first, second, third) => rotations(word, first, second, `i32.const ${third}; i32.rotr`);
const smallSigma = (word, first, second, shift) => rotations(word, first, second, `i32.const ${shift}; i32.shr_u`);

/** Leaves the word of round `t` of the message schedule, of which the last sixteen are kept. */
function scheduled(t) {
  const word = (back) => `w${(t - back) & 15}`;
  if (t < 16) return `local.get $${word(0)}`;
  return `
    ${smallSigma(word(15), 7, 18, 3)}; local.get $${word(16)}; i32.add; local.get $${word(7)}; i32.add
    ${smallSigma(word(2), 17, 19, 10)}; i32.add; local.tee $${word(16)}`;
}

/**
 * The 64 rounds. Instead of moving eight words on in each, their names move. maj(a, b, c) = ((a ^ b) & (b ^ c)) ^ b, and
 * one round's a ^ b is the next one's b ^ c.
 */
function rounds() {
  let [a, b, c, d, e, f, g, h] = WORDS;
  let [aXorB, bXorC] = ['x', 'y'];
  const code = [`local.get $${b}; local.get $${c}; i32.xor; local.set $${bXorC}`];
  roundConstants().forEach((constant, t) => {
    code.push(`
      local.get $${h}; ${scheduled(t)}; i32.const ${constant}; i32.add; i32.add; ${sigma(e, 6, 11, 25)}; i32.add
      local.get $${f}; local.get $${g}; i32.xor; local.get $${e}; i32.and; local.get $${g}; i32.xor; i32.add; local.tee $${h}
      local.get $${d}; i32.add; local.set $${d}
      local.get $${h}; ${sigma(a, 2, 13, 22)}; i32.add
      local.get $${a}; local.get $${b}; i32.xor; local.tee $${aXorB}; local.get $${bXorC}; i32.and; local.get $${b}; i32.xor
      i32.add; local.set $${h}`);
    [a, b, c, d, e, f, g, h] = [h, a, b, c, d, e, f, g];
    [aXorB, bXorC] = [bXorC, aXorB];
  });
  return code.join('\n');
}

/** The parameters become addresses and sizes. Traps where the state hasn't 32 bytes, or the data not so many blocks. */
function checked(type, { forwarded, lengthAt, bytesAt, naturalShift }) {
  const large = type === 'i64' ? 'i32.wrap_i64' : '';
  return `
    local.get $start; local.get $blocks; ${type}.or; ${large}; i32.const 1; i32.and; if; unreachable; end
    local.get $start; ${type}.const ${naturalShift}; ${type}.shr_u; local.set $start
    local.get $blocks; ${type}.const ${naturalShift}; ${type}.shr_u; local.set $blocks
    local.get $state; ${forwarded}; local.tee $state; ${type}.load offset=${lengthAt}; ${type}.const 32; ${type}.ne
    if; unreachable; end
    local.get $data; ${forwarded}; local.tee $data; ${type}.load offset=${lengthAt}; local.tee $end
    local.get $start; ${type}.lt_u; if; unreachable; end
    local.get $blocks; local.get $end; local.get $start; ${type}.sub; ${type}.const 6; ${type}.shr_u; ${type}.gt_u
    if; unreachable; end
    local.get $data; local.get $start; ${type}.add; ${type}.const ${bytesAt}; ${type}.add; local.tee $at
    local.get $blocks; ${type}.const 6; ${type}.shl; ${type}.add; local.set $end`;
}

/** Where the `n`th byte of the state is: the highest of an element, in both layouts; below it is its tag or nothing. */
const stateByte = ({ bytesAt, element }, n) => `offset=${bytesAt + element * n + element - 1}`;

function loadedState(layout) {
  return WORDS.map((word, index) => [0, 1, 2, 3].map((byte) => `
    local.get $state; i32.load8_u ${stateByte(layout, 4 * index + byte)}; i32.const ${24 - 8 * byte}; i32.shl; ${byte ? 'i32.or' : ''}
  `).join('') + `; local.tee $${word}; local.set $sum_${word}`).join('\n');
}

function storedState(layout) {
  return WORDS.map((word, index) => [0, 1, 2, 3].map((byte) => `
    local.get $state; local.get $sum_${word}; i32.const ${24 - 8 * byte}; i32.shr_u; i32.store8 ${stateByte(layout, 4 * index + byte)}
  `).join('')).join('\n');
}

const summed = (word) => `local.get $${word}; local.get $sum_${word}; i32.add; local.tee $${word}; local.set $sum_${word}`;

/** The function's entry in the code section: (closure, state, data, start, blocks) -> (). */
function absorb(type) {
  const layout = LAYOUTS[type];
  const words = Array.from({ length: 16 }, (_, t) => `w${t}`);
  return assemble(
    ['closure', 'state', 'data', 'start', 'blocks'],
    [[type, ['at', 'end']], ['i32', [...WORDS, ...WORDS.map((word) => `sum_${word}`), 'x', 'y', ...words]]],
    `${checked(type, layout)}
     local.get $at; local.get $end; ${type}.lt_u
     if
       ${loadedState(layout)}
       loop
         ${words.map((word, t) => swappedWord(4 * t, word)).join('\n')}
         ${rounds()}
         ${WORDS.map(summed).join('\n')}
         local.get $at; ${type}.const 64; ${type}.add; local.tee $at; local.get $end; ${type}.lt_u; br_if 0
       end
       ${storedState(layout)}
     end`,
  );
}

// ---- The compiled module ----

/** The names of locals without those of one function, which has others now. */
function withoutLocals(content, index) {
  const functions = entries(content, (start) => {
    const number = readLeb128(content, start);
    const count = readLeb128(content, number.end);
    let { end } = count;
    for (let left = count.value; left > 0; left -= 1) end = readName(content, readLeb128(content, end).end).end;
    return { index: number.value, bytes: content.subarray(start, end), end };
  }).filter((each) => each.index !== index);
  return Buffer.concat([leb128(functions.length), ...functions.map(({ bytes }) => bytes)]);
}

/** Throws unless each of the two functions accesses objects in just the ways that the layout says. */
function requireLayout(type, bodies) {
  for (const [name, wanted] of Object.entries(LAYOUTS[type].found)) {
    const text = disassemble(bodies[name]);
    for (const [times, instructions] of wanted) {
      const actual = occurrences(text, instructions);
      if (actual !== times) throw new Error(`the compiled ${name} has ${actual} times, instead of ${times}: ${instructions}`);
    }
  }
}

/** The module with the handwritten body. Refuses a module that isn't as this file says. */
function replaceSha256Block(wasm) {
  const code = readBodies(only(wasm, SECTIONS.CODE));
  const functions = only(wasm, SECTIONS.FUNCTION);
  const typeOf = entries(functions, (start) => readLeb128(functions, start));
  const [number, load4] = [functionNumber(wasm, 'absorb'), functionNumber(wasm, 'load4')];
  const { parameters, results } = readTypes(only(wasm, SECTIONS.TYPE))[typeOf[number].value];
  const type = Object.keys(LAYOUTS).find((each) => TYPE_BYTES[each] === parameters[0]);
  if (parameters.length !== 5 || new Set(parameters).size !== 1 || results.length) throw new Error('"absorb" has another type');
  requireLayout(type, { absorb: code[number], load4: code[load4] });
  const changed = code.map((body, at) => (at === number ? absorb(type) : sized(body)));
  const index = readImports(only(wasm, SECTIONS.IMPORT)).length + number;
  return changeSections(wasm, (section) => {
    if (section.id === SECTIONS.CODE) return Buffer.concat([leb128(changed.length), ...changed]);
    if (!isNames(section)) return section.content;
    const parts = nameParts(section.content).map(({ id, content }) => Buffer.concat([
      Buffer.from([id]), sized(id === LOCAL_NAMES ? withoutLocals(content, index) : content),
    ]));
    return Buffer.concat([sized(Buffer.from('name')), ...parts]);
  });
}

module.exports = { replaceSha256Block };
