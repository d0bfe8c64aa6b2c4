'use strict';
// Loads the package under the LAMINAE_* settings of the environment and says what came of it.
try {
  const { cpuInfo, getNumThreads } = require('../../..');
  console.log(JSON.stringify({ isa: cpuInfo().isa, threads: getNumThreads() }));
} catch (error) {
  console.log(
    JSON.stringify({ isRangeError: error instanceof RangeError, code: error.code, message: error.message }),
  );
}
