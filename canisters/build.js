// Compiles one canister: node build.js backend|personal OUT_DIR. Run by scripts/build-canisters, one process for each, since
// a second compile in one process differs from the first. Owns what goes into an artifact; not where artifacts are kept.
//
// Reproducible: sources get fixed virtual paths, gzip has no time and no name. The public metadata `candid:service` is
// the hand-written contract, of which the compiled actor must be a subtype (checked by the tests).
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

const CANISTERS = ['backend', 'personal'];
const SOURCE_FOLDERS = ['capsule', 'capsule/sha256', 'backend', 'personal'];
const PUBLIC_METADATA = ['candid:service', 'candid:args', 'motoko:stable-types'];
const ERROR = 1;

function loadCompiler() {
  const compiler = require('motoko');
  compiler.loadPackage(JSON.parse(fs.readFileSync(require.resolve('motoko/packages/latest/core.json'), 'utf8')));
  for (const folder of SOURCE_FOLDERS) {
    for (const file of fs.readdirSync(path.join(__dirname, folder)).sort()) {
      if (file.endsWith('.mo')) compiler.write(`${folder}/${file}`, fs.readFileSync(path.join(__dirname, folder, file), 'utf8'));
    }
  }
  compiler.setPublicMetadata(PUBLIC_METADATA);
  return compiler;
}

/** Prints what the compiler has to say, each thing once; true when there is an error. */
function report(diagnostics) {
  const lines = new Set(diagnostics.map((found) => {
    const { line, character } = found.range.start;
    const kind = found.severity === ERROR ? 'error' : 'warning';
    return `${found.source}:${line + 1}:${character + 1}: ${kind} [${found.code}] ${found.message}`;
  }));
  for (const line of lines) console.error(line);
  return diagnostics.some((found) => found.severity === ERROR);
}

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

function customSection(name, content) {
  const label = Buffer.from(name);
  const body = Buffer.concat([leb128(label.length), label, content]);
  return Buffer.concat([Buffer.from([0]), leb128(body.length), body]);
}

/** The module with the content of one custom section replaced. */
function replaceCustomSection(wasm, name, content) {
  const parts = [wasm.subarray(0, 8)];
  let replaced = false;
  for (let offset = 8; offset < wasm.length;) {
    const size = readLeb128(wasm, offset + 1);
    const end = size.end + size.value;
    const label = readLeb128(wasm, size.end);
    const isIt = wasm[offset] === 0 && wasm.subarray(label.end, label.end + label.value).toString() === name;
    parts.push(isIt ? customSection(name, content) : wasm.subarray(offset, end));
    replaced ||= isIt;
    offset = end;
  }
  if (!replaced) throw new Error(`the compiled module has no custom section "${name}"`);
  return Buffer.concat(parts);
}

/** gzip as bytes that depend on the input only: Node writes no time and no name, the operating system's byte is set. */
function deterministicGzip(bytes) {
  const zipped = zlib.gzipSync(bytes, { level: 9 });
  zipped[9] = 0xff; // "unknown", RFC 1952
  return zipped;
}

function build(name) {
  const compiler = loadCompiler();
  const main = `${name}/Main.mo`;
  if (report(compiler.check(main))) return null;
  const { wasm, candid, stable } = compiler.wasm(main, 'ic');
  const contract = fs.readFileSync(path.join(__dirname, name, `${name}.did`));
  const module = replaceCustomSection(Buffer.from(wasm), 'icp:public candid:service', contract);
  return {
    [`${name}.wasm.gz`]: deterministicGzip(module),
    [`${name}.did`]: contract,
    [`${name}.compiled.did`]: candid,
    [`${name}.most`]: stable,
  };
}

function main([name, folder, ...rest]) {
  if (!CANISTERS.includes(name) || !folder || rest.length) {
    console.error(`usage: node build.js ${CANISTERS.join('|')} OUT_DIR`);
    return 2;
  }
  const artifacts = build(name);
  if (!artifacts) return 1;
  for (const [file, content] of Object.entries(artifacts)) fs.writeFileSync(path.join(folder, file), content);
  const zipped = artifacts[`${name}.wasm.gz`];
  const hash = crypto.createHash('sha256').update(zipped).digest('hex');
  console.log(`${name}.wasm.gz  ${zipped.length} bytes  module hash ${hash}`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
