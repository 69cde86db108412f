// Compiles the Motoko unit tests: node build-tests.js OUT_FILE. Owns no artifact that is kept.
'use strict';
const fs = require('fs');
const { report } = require('./diagnostics.js');
const { loadCompiler } = require('./sources.js');

function main([file, ...rest]) {
  if (!file || rest.length) {
    console.error('usage: node build-tests.js OUT_FILE');
    return 2;
  }
  const compiler = loadCompiler(['backend', 'personal', 'test', 'test/backend', 'test/capsule', 'test/personal']);
  const { diagnostics, code } = compiler.compiler.compileWasm('ic', 'test/Main.mo');
  if (report(diagnostics) || !code) return 1;
  fs.writeFileSync(file, code.wasm);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
