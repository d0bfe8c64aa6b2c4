'use strict';
// Prints "<passed> <failed>" of one step of .ci/run, from what its test runner really reported.
//   node scripts/ci-counts.cjs jest FILE        FILE made by jest --json --outputFile
//   node scripts/ci-counts.cjs doctest FILE     FILE holds what the C++ tests printed
// A runner that reported nothing (crashed, did not start) counts as one failure, and so does a run of no tests.
const fs = require('node:fs');

function countJest(text) {
  const report = JSON.parse(text);
  // A suite that could not be loaded has run none of its tests, so it counts itself.
  return [report.numPassedTests, report.numFailedTests + report.numRuntimeErrorTestSuites];
}

function countDoctest(text) {
  const summary = /\[doctest\] test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed/.exec(text);
  return [Number(summary[1]), Number(summary[2])];
}

const [runner, file] = process.argv.slice(2);
let counts;
try {
  const count = { jest: countJest, doctest: countDoctest }[runner];
  counts = count(fs.readFileSync(file, 'utf8'));
} catch {
  counts = [0, 1];
}
const [passed, failed] = counts;
console.log(passed + failed === 0 ? '0 1' : `${passed} ${failed}`);
