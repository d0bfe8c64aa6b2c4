/** An elementwise function and the average pool of 2x2 tiles behind it in one pass over the larger tensor. */
import { needsGrad, record } from '../autograd/graph';
import { run, unaryFns, type UnaryFn } from '../native';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { memoryFor } from './unary';

/**
 * avgPool2d(fn(input), 2) of images in lanes, of even height and width. `fn`: null, or a function whose derivative is made
 * of its result. The numbers are those of the two operations.
 */
export function meanOfTiles(input: Tensor, fn: UnaryFn | null, lanes: number): Tensor {
  const x = contiguousElements(input);
  const [n, c, h, w] = x.shape;
  const code = fn === null ? -1 : unaryFns[fn].code;
  const fields = { fn: code, rows: (n * c * h) / 2, columns: w / lanes / 2, inner: lanes };
  const recorded = needsGrad(input);
  const f = fn !== null && recorded ? memoryFor(input, x, false) : null;
  const y = Tensor.empty([n, c, h / 2, w / 2], x.dtype);
  run('meanTiles', fields, { x, f, y });
  if (!recorded) return y;
  const { shape } = x;
  const backward = (grad: Tensor): [Tensor] => {
    const dx = Tensor.empty(shape, grad.dtype);
    run('meanTilesBackward', fields, { saved: f, dy: contiguousElements(grad), dx });
    return [dx];
  };
  return record('avgPool2d', y, [input], backward, { saved: f === null ? [] : [f] });
}
