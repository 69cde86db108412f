// Compiles what the tests ask for SHA-256: node build-sha256-probe.js OUT_FILE [GC_FLAG ...]. Writes the module as the compiler
// makes it to OUT_FILE, and to OUT_FILE.replaced the same with the handwritten block. Owns no artifact that is kept.
'use strict';
const fs = require('fs');
const { report } = require('./diagnostics.js');
const { replaceSha256Block } = require('./sha256-block.js');
const { loadCompiler } = require('./sources.js');

function main([file, ...flags]) {
  if (!file) {
    console.error('usage: node build-sha256-probe.js OUT_FILE [GC_FLAG ...]');
    return 2;
  }
  const compiler = loadCompiler(['test/sha256']);
  for (const flag of flags) compiler.compiler.gcFlags(flag);
  const { diagnostics, code } = compiler.compiler.compileWasm('ic', 'test/sha256/Probe.mo');
  if (report(diagnostics) || !code) return 1;
  const compiled = Buffer.from(code.wasm);
  fs.writeFileSync(file, compiled);
  fs.writeFileSync(`${file}.replaced`, replaceSha256Block(compiled));
  return 0;
}

process.exitCode = main(process.argv.slice(2));
