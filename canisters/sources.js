// The sources of a canister: which files they are, and the compiler that has them loaded. Owns no output.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const SHARED_FOLDERS = ['capsule', 'capsule/sha256'];
// What makes an artifact of the Motoko and the contract: the version of the compiler, and how it is driven.
const TOOLS = [
  'build.js', 'empty-argument.js', 'limit-arguments.js', 'package-lock.json', 'sha256-block.js', 'sources.js', 'wasm-code.js', 'wasm.js',
];

function read(file) {
  return fs.readFileSync(path.join(__dirname, file), 'utf8');
}

/** Paths of the Motoko files in these folders, which are relative to this one. */
function motokoFiles(folders) {
  return folders.flatMap((folder) => fs.readdirSync(path.join(__dirname, folder)).sort()
    .filter((file) => file.endsWith('.mo')).map((file) => `${folder}/${file}`));
}

/** What a canister is built from: one line `SHA-256  path` for each file. The tests compare it with the tree. */
function record(name) {
  const files = [...TOOLS, `${name}/${name}.did`, ...motokoFiles([...SHARED_FOLDERS, name])].sort();
  return files.map((file) => `${crypto.createHash('sha256').update(read(file)).digest('hex')}  ${file}\n`).join('');
}

/** The pinned compiler with the Motoko of these folders at fixed virtual paths; `edit` may change each text. */
function loadCompiler(folders, edit = (text) => text) {
  const compiler = require('motoko');
  compiler.loadPackage(JSON.parse(fs.readFileSync(require.resolve('motoko/packages/latest/core.json'), 'utf8')));
  for (const file of motokoFiles([...SHARED_FOLDERS, ...folders])) compiler.write(file, edit(read(file)));
  return compiler;
}

module.exports = { loadCompiler, read, record };
