// What the Motoko compiler has to say, printed for people. Owns neither what is compiled nor what becomes of the result.
'use strict';

const ERROR = 1;

/** Prints each thing once; true when there is an error. */
function report(diagnostics) {
  const lines = new Set(diagnostics.map((found) => {
    const { line, character } = found.range.start;
    // Findings on stable types have no place in a source.
    const place = found.source ? `${found.source}:${line + 1}:${character + 1}: ` : '';
    return `${place}${found.severity === ERROR ? 'error' : 'warning'} [${found.code}] ${found.message}`;
  }));
  for (const line of lines) console.error(line);
  return diagnostics.some((found) => found.severity === ERROR);
}

module.exports = { report };
