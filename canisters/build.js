// Compiles one canister: node build.js backend|personal OUT_DIR [FEATURE_LEFT_OUT]. Run by scripts/build-canisters, one
// process for each, since a second compile in one process differs from the first. Owns what goes into an artifact; not
// where artifacts are kept.
//
// Reproducible: sources get fixed virtual paths, gzip has no time and no name. The public metadata `candid:service` is
// the hand-written contract, of which the compiled actor must be a subtype (checked by the tests).
//
// A feature that can be left out stands between the lines `// feature NAME` and `// end of NAME`, in sources and contract.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const { report } = require('./diagnostics.js');
const { takeEmptyArgument } = require('./empty-argument.js');
const { limitArguments, limits, methods } = require('./limit-arguments.js');
const { replaceSha256Block } = require('./sha256-block.js');
const { loadCompiler, read, record } = require('./sources.js');
const { changeSections, readName, sized } = require('./wasm.js');

const CANISTERS = ['backend', 'personal'];
// How the heap survives an upgrade. The backend keeps it as it is (enhanced orthogonal persistence, the compiler's
// default). The personal canister writes it to stable memory and reads it again (classical persistence): its contents are
// in a region anyhow, and what remains is small; in return its heap is collected wholly, and its module has 32 bits.
const GC_FLAGS = { backend: [], personal: ['classicOP'] };
const PUBLIC_METADATA = ['candid:service', 'candid:args', 'motoko:stable-types'];

/** The text without the feature. */
function without(feature, text) {
  return feature ? text.replace(partsOf(feature), '') : text;
}

function partsOf(feature) {
  return new RegExp(`^ *// feature ${feature}\\n[^]*?^ *// end of ${feature}\\n`, 'gm');
}

/** The module with the content of one custom section replaced. */
function replaceCustomSection(wasm, name, content) {
  let replaced = false;
  const changed = changeSections(wasm, (section) => {
    if (section.id !== 0 || readName(section.content, 0).value !== name) return section.content;
    replaced = true;
    return Buffer.concat([sized(Buffer.from(name)), content]);
  });
  if (!replaced) throw new Error(`the compiled module has no custom section "${name}"`);
  return changed;
}

/**
 * The module with regions that may grow to 1,048,575 pages (64 GiB less one page) instead of 65,536: the compiler has a flag
 * for this limit, its npm package has no way to set it. The limit stands in one place, where a region's growth is checked:
 *   i64.add, i64.const 65536, i64.gt_u, if (result i64), i64.const -1, return, else
 * Refuses a module in which that isn't found exactly once. Both numbers take three bytes, so nothing else moves.
 */
function raiseRegionLimit(wasm) {
  const check = Buffer.from([0x7c, 0x42, 0x80, 0x80, 0x04, 0x56, 0x04, 0x7e, 0x42, 0x7f, 0x0f, 0x05]);
  const at = wasm.indexOf(check);
  if (at < 0 || wasm.indexOf(check, at + 1) >= 0) throw new Error('the check of a region\'s growth was not found once');
  const raised = Buffer.from(wasm);
  raised.set([0xff, 0xff, 0x3f], at + 2);
  const rest = (bytes) => Buffer.concat([bytes.subarray(0, at + 2), bytes.subarray(at + 5)]);
  if (!rest(raised).equals(rest(wasm))) throw new Error('the limit can\'t be raised');
  return raised;
}

/** gzip as bytes that depend on the input only: Node writes no time and no name, the operating system's byte is set. */
function deterministicGzip(bytes) {
  const zipped = zlib.gzipSync(bytes, { level: 9 });
  zipped[9] = 0xff; // "unknown", RFC 1952
  return zipped;
}

/** The artifacts by file name; null when the compiler found an error, which it has then reported. */
function build(name, feature) {
  const compiler = loadCompiler([name], (text) => without(feature, text));
  compiler.setPublicMetadata(PUBLIC_METADATA);
  for (const flag of GC_FLAGS[name]) compiler.compiler.gcFlags(flag);
  const { diagnostics, code } = compiler.compiler.compileWasm('ic', `${name}/Main.mo`);
  if (report(diagnostics) || !code) return null;
  const contract = Buffer.from(without(feature, read(`${name}/${name}.did`)));
  const compiled = takeEmptyArgument(replaceSha256Block(raiseRegionLimit(Buffer.from(code.wasm))));
  const limitOf = limits(compiler, methods(compiled));
  const module = replaceCustomSection(limitArguments(compiled, limitOf), 'icp:public candid:service', contract);
  return {
    [`${name}.wasm.gz`]: deterministicGzip(module),
    [`${name}.did`]: contract,
    [`${name}.compiled.did`]: code.candid,
    [`${name}.limits`]: [...limitOf].map(([method, { most, anyones, values }]) => `${method} ${most} ${anyones} ${values}\n`).join(''),
    [`${name}.most`]: code.stable,
    [`${name}.sources`]: record(name),
  };
}

function main([name, folder, feature, ...rest]) {
  if (!CANISTERS.includes(name) || !folder || rest.length) {
    console.error(`usage: node build.js ${CANISTERS.join('|')} OUT_DIR [FEATURE_LEFT_OUT]`);
    return 2;
  }
  if (feature && !partsOf(feature).test(read(`${name}/Main.mo`))) {
    console.error(`${name} has no feature "${feature}"`);
    return 2;
  }
  let artifacts;
  try {
    artifacts = build(name, feature);
  } catch (problem) { // uncaught, the compiler would print itself
    console.error(`error: ${name} can't be built: ${problem.message}`);
  }
  if (!artifacts) return 1;
  for (const [file, content] of Object.entries(artifacts)) fs.writeFileSync(path.join(folder, file), content);
  const zipped = artifacts[`${name}.wasm.gz`];
  const hash = crypto.createHash('sha256').update(zipped).digest('hex');
  console.log(`${name}.wasm.gz  ${zipped.length} bytes  module hash ${hash}`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
