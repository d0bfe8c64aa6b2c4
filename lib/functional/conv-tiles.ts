/** A convolution, an elementwise function and the average pool of 2x2 tiles as one operation, with images in lanes. */
import { needsGrad } from '../autograd/graph';
import { run, unaryFns, type UnaryFn } from '../native';
import { Tensor } from '../tensor/tensor';
import { operands, recordConvolution } from './conv';
import type { ConvOptions } from './conv-options';
import { planConv } from './conv-shape';
import { packedWeights } from './conv-weights';

/**
 * avgPool2d(fn(conv2d(input, weight, bias, options)), 2) of images in lanes, whose result has even height and width, for
 * a function whose derivative is made of its result. Only that result is kept for backward: the convolution hands its
 * sums over in L1, and its gradients make those of the sums there again.
 */
export function convolutionOfTiles(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
  fn: UnaryFn,
  lanes: number,
): Tensor {
  const { descriptor, shape } = planConv('conv2d', 2, input, weight, bias, options, lanes);
  const { x, w, b, keep } = operands(input, weight, bias);
  const fields = { fn: unaryFns[fn].code, ...descriptor };
  const [n, c, h, columns] = shape;
  const isRecorded = needsGrad(input, weight, bias);
  const f = isRecorded ? Tensor.empty(shape, x.dtype) : null;
  const y = Tensor.empty([n, c, h / 2, columns / 2], x.dtype);
  const use = packedWeights('conv', descriptor, w);
  const { packed } = use;
  run('convTiles', use.ready ? { ...fields, packedReady: 1 } : fields, {
    x,
    weight: w,
    bias: b,
    f,
    y,
    packed,
  });
  use.ready = packed !== null;
  if (f === null) return y;
  return recordConvolution(
    'conv2d',
    y,
    [input, weight, bias],
    (dy, dx) => {
      run('convTilesBackwardInput', fields, { f, dy, weight: w, dx, packed: null });
    },
    (dy, dw, db) => {
      run('convTilesBackwardWeight', fields, { x, f, dy, dw, db });
    },
    { saved: keep.saved, owned: [...keep.owned, f] },
  );
}
