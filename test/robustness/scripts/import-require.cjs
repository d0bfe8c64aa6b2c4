'use strict';
// import and require must give one instance of every class.
const required = require('laminae');

import('laminae').then((imported) => {
  const names = Object.keys(required);
  console.log(
    JSON.stringify({
      exports: names.length,
      different: names.filter((name) => imported[name] !== required[name]),
      missing: names.filter((name) => !(name in imported)),
      instance: imported.ones([2]) instanceof required.Tensor,
    }),
  );
});
