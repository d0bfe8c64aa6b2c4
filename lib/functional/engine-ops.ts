/** Gives the autograd engine the arithmetic it needs. */
import { setEngineOps } from '../autograd/engine';
import { binaryFns, run } from '../native';
import { cloneElements, contiguousElements, copyElements, fillElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';

const unit = [1];

setEngineOps({
  addInto(into, value) {
    const b = contiguousElements(value);
    if (!into.isContiguous) {
      // A gradient that the user set.
      const total = cloneElements(into);
      this.addInto(total, b);
      copyElements(total, into);
      into.storage.version++;
      return;
    }
    run(
      'binary',
      { fn: binaryFns.add, rank: 1, shape: [into.numel], aStrides: unit, bStrides: unit },
      { a: into, b, y: into },
    );
    into.storage.version++;
  },
  clone: (value) => cloneElements(value),
  ones(like) {
    const t = Tensor.empty(like.shape, like.dtype);
    fillElements(t, 1);
    return t;
  },
});
