/** Builds laminae modules from layer lists. */
import { cat, nn, type Tensor } from 'laminae';
import type { Layer } from '../layer';

class Residual extends nn.Module {
  constructor(
    readonly body: nn.Sequential,
    readonly shortcut: nn.Sequential,
    private readonly relu: boolean,
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return this.body.forwardThen(x, { add: this.shortcut.forward(x), relu: this.relu });
  }
}

class Branches extends nn.Module {
  constructor(readonly branches: nn.Sequential) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return cat(
      [...this.branches].map((branch) => branch.forward(x)),
      1,
    );
  }
}

/** Stays in evaluation mode, see {@link setTraining}. */
class FrozenBatchNorm1d extends nn.BatchNorm1d {}

function buildLayer(layer: Layer, isBeforeRelu: boolean): nn.Module {
  switch (layer.type) {
    case 'conv': {
      const { stride, padding, groups, bias } = layer;
      return new nn.Conv2d(layer.in, layer.out, layer.kernel, { stride, padding, groups, bias });
    }
    case 'batchNorm':
      if (layer.rank === 4) return new nn.BatchNorm2d(layer.channels);
      return layer.frozen ? new FrozenBatchNorm1d(layer.channels) : new nn.BatchNorm1d(layer.channels);
    case 'linear':
      return new nn.Linear(layer.in, layer.out);
    case 'relu':
      return new nn.ReLU();
    case 'relu6':
      return new nn.ReLU6();
    case 'sigmoid':
      return new nn.Sigmoid();
    case 'flatten':
      return new nn.Flatten();
    case 'globalAvgPool':
      return new nn.AdaptiveAvgPool2d(1);
    case 'maxPool':
      return new nn.MaxPool2d(layer.kernel, {
        stride: layer.stride,
        padding: layer.padding,
        ceilMode: layer.ceil,
      });
    case 'avgPool':
      return new nn.AvgPool2d(layer.kernel);
    case 'dropout':
      return new nn.Dropout(layer.p);
    case 'residual':
      return new Residual(buildModel(layer.body), buildModel(layer.shortcut), isBeforeRelu);
    case 'branches':
      return new Branches(new nn.Sequential(...layer.branches.map(buildModel)));
  }
}

export function buildModel(layers: readonly Layer[]): nn.Sequential {
  return new nn.Sequential(
    ...layers.map((layer, i) => {
      // The block itself applies the ReLU behind it; paths of weights count layers, so something stays in its place.
      if (layer.type === 'relu' && layers[i - 1]?.type === 'residual') return new nn.Identity();
      return buildLayer(layer, layers[i + 1]?.type === 'relu');
    }),
  );
}

/** Training or evaluation mode, with the exceptions that the layer list makes. */
export function setTraining(model: nn.Module, training: boolean): void {
  model.train(training);
  for (const module of model.modules()) if (module instanceof FrozenBatchNorm1d) module.eval();
}

export function setDropout(model: nn.Module, active: boolean): void {
  for (const module of model.modules()) if (module instanceof nn.Dropout) module.train(active);
}
