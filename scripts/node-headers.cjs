'use strict';
// node-gyp downloads Node's headers unless it is told where they are. Most installations carry them beside the
// executable (<prefix>/bin/node, <prefix>/include/node), so point it there.
const fs = require('node:fs');
const path = require('node:path');

exports.nodedirArgs = function nodedirArgs() {
  if (process.env.npm_config_nodedir) return [`--nodedir=${process.env.npm_config_nodedir}`];
  const prefix = path.resolve(path.dirname(fs.realpathSync(process.execPath)), '..');
  const hasHeaders = fs.existsSync(path.join(prefix, 'include', 'node', 'common.gypi'));
  return hasHeaders ? [`--nodedir=${prefix}`] : [];
};
