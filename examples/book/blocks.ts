/** The blocks of the later chapters: residual, inception and dense. */
import { cat, F, nn, type Tensor } from 'laminae';

export interface ResidualOptions {
  /** Bring the input to the new number of channels by a 1x1 convolution. Default false. */
  readonly use1x1conv?: boolean;
  /** Stride of the first convolution and of the 1x1 one. Default 1. */
  readonly stride?: number;
}

/** relu(x + f(x)) with f = conv, batch norm, relu, conv, batch norm (He et al., 2015). */
export class Residual extends nn.Module {
  conv1: nn.Conv2d;
  conv2: nn.Conv2d;
  conv3: nn.Conv2d | null;
  bn1: nn.BatchNorm2d;
  bn2: nn.BatchNorm2d;

  constructor(
    inChannels: number,
    channels: number,
    { use1x1conv = false, stride = 1 }: ResidualOptions = {},
  ) {
    super();
    this.conv1 = new nn.Conv2d(inChannels, channels, 3, { padding: 1, stride });
    this.conv2 = new nn.Conv2d(channels, channels, 3, { padding: 1 });
    this.conv3 = use1x1conv ? new nn.Conv2d(inChannels, channels, 1, { stride }) : null;
    this.bn1 = new nn.BatchNorm2d(channels);
    this.bn2 = new nn.BatchNorm2d(channels);
  }

  override forward(X: Tensor): Tensor {
    const hidden = F.relu(this.bn1.forward(this.conv1.forward(X)));
    return this.bn2.forwardThen(this.conv2.forward(hidden), {
      add: this.conv3 === null ? X : this.conv3.forward(X),
      relu: true,
    });
  }
}

/** `count` residual blocks; unless it is the network's first stage, the first of them halves height and width. */
export function resnetBlock(inChannels: number, channels: number, count: number, first = false): Residual[] {
  return Array.from({ length: count }, (_, i) =>
    i === 0 && !first
      ? new Residual(inChannels, channels, { use1x1conv: true, stride: 2 })
      : new Residual(channels, channels),
  );
}

/** Four branches side by side, joined along the channels (Szegedy et al., 2014). */
export class Inception extends nn.Module {
  p1: nn.Module;
  p2: nn.Module;
  p3: nn.Module;
  p4: nn.Module;

  /** Channels of the branches: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooling then 1x1. */
  constructor(
    inChannels: number,
    c1: number,
    c2: readonly [number, number],
    c3: readonly [number, number],
    c4: number,
  ) {
    super();
    const conv = (from: number, to: number, kernel: number): nn.Module =>
      new nn.Sequential(new nn.Conv2d(from, to, kernel, { padding: (kernel - 1) / 2 }), new nn.ReLU());
    this.p1 = conv(inChannels, c1, 1);
    this.p2 = new nn.Sequential(conv(inChannels, c2[0], 1), conv(c2[0], c2[1], 3));
    this.p3 = new nn.Sequential(conv(inChannels, c3[0], 1), conv(c3[0], c3[1], 5));
    this.p4 = new nn.Sequential(new nn.MaxPool2d(3, { stride: 1, padding: 1 }), conv(inChannels, c4, 1));
  }

  override forward(X: Tensor): Tensor {
    return cat(
      [this.p1, this.p2, this.p3, this.p4].map((branch) => branch.forward(X)),
      1,
    );
  }
}

/** Batch norm, relu, 3x3 convolution: one step of a dense block. */
export function convBlock(inChannels: number, channels: number): nn.Sequential {
  return new nn.Sequential(
    new nn.BatchNorm2d(inChannels),
    new nn.ReLU(),
    new nn.Conv2d(inChannels, channels, 3, { padding: 1 }),
  );
}

/** Every step sees the outputs of all steps before it (Huang et al., 2016): `growth` new channels each. */
export class DenseBlock extends nn.Module {
  net: nn.Sequential;

  constructor(numConvs: number, inChannels: number, growth: number) {
    super();
    this.net = new nn.Sequential(
      ...Array.from({ length: numConvs }, (_, i) => convBlock(inChannels + i * growth, growth)),
    );
  }

  override forward(X: Tensor): Tensor {
    let joined = X;
    for (const block of this.net) joined = cat([joined, block.forward(joined)], 1);
    return joined;
  }
}

/** Between dense blocks: fewer channels by a 1x1 convolution, half the height and width by pooling. */
export function transitionBlock(inChannels: number, channels: number): nn.Sequential {
  return new nn.Sequential(
    new nn.BatchNorm2d(inChannels),
    new nn.ReLU(),
    new nn.Conv2d(inChannels, channels, 1),
    new nn.AvgPool2d(2, { stride: 2 }),
  );
}
