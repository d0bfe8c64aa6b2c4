/** Padding layers; the function is in `functional/pad.ts`. */
import { typeError } from '../errors';
import { pad, type PadOptions } from '../functional/pad';
import { integer, numberList, real } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

/** One width for every side, or [left, right], then top and bottom, then front and back. */
export type PaddingWidths = number | readonly number[];

abstract class PadLayer extends Module {
  /** Pairs, last dimension first. */
  readonly padding: readonly number[];

  constructor(
    rank: number,
    padding: PaddingWidths,
    private readonly padOptions: PadOptions,
  ) {
    super();
    const op = this.constructor.name;
    const given = numberList(op, 'padding', padding);
    const list = typeof padding === 'number' ? new Array<number>(2 * rank).fill(padding) : given;
    if (list.length !== 2 * rank) {
      throw typeError(op, 'padding', `must be a number or ${2 * rank} numbers`, padding);
    }
    this.padding = list.map((v, i) => integer(op, `padding[${i}]`, v, -(2 ** 31), 2 ** 31));
  }

  override forward(input: Tensor): Tensor {
    return pad(input, this.padding, this.padOptions);
  }

  protected override extraRepr(): string {
    return `padding=[${this.padding.join(', ')}]`;
  }
}

/** Surrounds [..., l] with zeros. */
export class ZeroPad1d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(1, padding, { mode: 'constant', value: 0 });
  }
}

/** Surrounds [..., h, w] with zeros. */
export class ZeroPad2d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(2, padding, { mode: 'constant', value: 0 });
  }
}

/** Surrounds [..., d, h, w] with zeros. */
export class ZeroPad3d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(3, padding, { mode: 'constant', value: 0 });
  }
}

/** Surrounds [..., l] with `value`. */
export class ConstantPad1d extends PadLayer {
  constructor(padding: PaddingWidths, value: number) {
    super(1, padding, { value: real('ConstantPad1d', 'value', value, 'must be a number', () => true) });
  }
}

/** Surrounds [..., h, w] with `value`. */
export class ConstantPad2d extends PadLayer {
  constructor(padding: PaddingWidths, value: number) {
    super(2, padding, { value: real('ConstantPad2d', 'value', value, 'must be a number', () => true) });
  }
}

/** Surrounds [..., d, h, w] with `value`. */
export class ConstantPad3d extends PadLayer {
  constructor(padding: PaddingWidths, value: number) {
    super(3, padding, { value: real('ConstantPad3d', 'value', value, 'must be a number', () => true) });
  }
}

/** Surrounds [..., l] with the image mirrored at its border. */
export class ReflectionPad1d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(1, padding, { mode: 'reflect' });
  }
}

/** Surrounds [..., h, w] with the image mirrored at its border. */
export class ReflectionPad2d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(2, padding, { mode: 'reflect' });
  }
}

/** Surrounds [..., d, h, w] with the image mirrored at its border. */
export class ReflectionPad3d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(3, padding, { mode: 'reflect' });
  }
}

/** Surrounds [..., l] with the border repeated. */
export class ReplicationPad1d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(1, padding, { mode: 'replicate' });
  }
}

/** Surrounds [..., h, w] with the border repeated. */
export class ReplicationPad2d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(2, padding, { mode: 'replicate' });
  }
}

/** Surrounds [..., d, h, w] with the border repeated. */
export class ReplicationPad3d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(3, padding, { mode: 'replicate' });
  }
}

/** Surrounds [..., l] with the opposite side. */
export class CircularPad1d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(1, padding, { mode: 'circular' });
  }
}

/** Surrounds [..., h, w] with the opposite side. */
export class CircularPad2d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(2, padding, { mode: 'circular' });
  }
}

/** Surrounds [..., d, h, w] with the opposite side. */
export class CircularPad3d extends PadLayer {
  constructor(padding: PaddingWidths) {
    super(3, padding, { mode: 'circular' });
  }
}
