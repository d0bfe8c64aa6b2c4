/**
 * Images in lanes: [n, c, h, w] as [n / lanes, c, h, w lanes], where the same pixel of `lanes` images makes a vector. For
 * few channels and many images convolutions bring their operands into this order and their results out of it, in every
 * pass. Where one layer after the other would, the images can stay so: a Sequential sees to it (nn/lanes.ts). Elementwise
 * functions and batch norm need not know; convolutions, and means of tiles (mean-tiles.ts), are told.
 */
import { record } from '../autograd/graph';
import { run } from '../native';
import type { Shape } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import type { ConvDescriptor } from './conv-shape';

/** The shape of images [n, c, h, w] in lanes. */
export function shapeInLanes([n, c, h, w]: Shape, lanes: number): number[] {
  return [n / lanes, c, h, w * lanes];
}

/** The shape of what lies in lanes, as images. */
export function shapeOfImages([n, c, h, w]: Shape, lanes: number): number[] {
  return [n * lanes, c, h, w / lanes];
}

const width = { storage: { data: new Float64Array(1) }, offset: 0 };

/** Images of a vector if this convolution and its gradients are best made in lanes; else 0. */
export function lanesOf(descriptor: ConvDescriptor, input: Tensor): number {
  run('convLanes', descriptor, { x: input, width });
  return width.storage.data[0];
}

function move(op: string, input: Tensor, lanes: number, back: boolean): Tensor {
  const x = contiguousElements(input);
  const shape = back ? shapeOfImages(x.shape, lanes) : shapeInLanes(x.shape, lanes);
  const y = Tensor.empty(shape, x.dtype);
  const n = back ? shape[0] : x.shape[0];
  run('toLanes', { n, size: n === 0 ? 0 : x.numel / n, lanes, back: Number(back) }, { x, y });
  return record(op, y, [input], (dy) => [move(op, dy, lanes, !back)]);
}

/** Images into lanes; their number is a multiple of `lanes`. */
export function toLanes(images: Tensor, lanes: number): Tensor {
  return move('toLanes', images, lanes, false);
}

/** Images out of lanes. */
export function fromLanes(x: Tensor, lanes: number): Tensor {
  return move('fromLanes', x, lanes, true);
}
