// Asks the compiler whether a canister with the stable types PREVIOUS can be upgraded to one with PRESENT and keep its data:
// node check-upgrade.js PREVIOUS.most PRESENT.most. Exit status 1 and the compiler's message if it can't.
'use strict';
const fs = require('fs');
const { compiler } = require('motoko');
const { report } = require('./diagnostics.js');

function main([previous, present, ...rest]) {
  if (!present || rest.length) {
    console.error('usage: node check-upgrade.js PREVIOUS.most PRESENT.most');
    return 2;
  }
  compiler.saveFile('previous.most', fs.readFileSync(previous, 'utf8'));
  compiler.saveFile('present.most', fs.readFileSync(present, 'utf8'));
  return report(compiler.stableCompatible('previous.most', 'present.most').diagnostics) ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
