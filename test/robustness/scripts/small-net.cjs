'use strict';
// Work that uses the thread pool and most kinds of ops, and has one right answer, bit for bit.
const path = require('node:path');
const root = path.join(__dirname, '../../..');

/** A hash of the weights of a small convolutional network after `steps` training steps. */
function trainedHash(steps = 3) {
  const { F, manualSeed, randn, scope } = require(root);
  manualSeed(7);
  const x = randn([32, 1, 16, 16]);
  const target = randn([32, 5]);
  const w1 = randn([4, 1, 3, 3]).mul(0.3).requiresGrad_();
  const w2 = randn([4 * 16 * 16, 5])
    .mul(0.05)
    .requiresGrad_();
  for (let i = 0; i < steps; i++) {
    scope(() => {
      const hidden = F.tanh(F.conv2d(x, w1, null, { padding: 1 }));
      const difference = hidden
        .reshape([32, 4 * 16 * 16])
        .matmul(w2)
        .sub(target);
      w1.clearGrad();
      w2.clearGrad();
      difference.mul(difference).mean().backward();
      for (const w of [w1, w2]) w.detach().sub_(w.grad.mul(0.1));
    });
  }
  const { createHash } = require('node:crypto');
  const hash = createHash('sha256');
  for (const w of [w1, w2]) hash.update(w.detach().toTypedArray());
  return hash.digest('hex');
}

module.exports = { root, trainedHash };
