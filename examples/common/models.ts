/** The networks that the examples train. Input [n, 1, 28, 28], output [n, 10]. */
import { nn } from 'laminae';

/** Makes the normalisation of `features` channels, for input of 2 or 4 dimensions. */
export type MakeNorm<M extends nn.Module> = (features: number, dims: 2 | 4) => M;

const libraryNorm: MakeNorm<nn.BatchNorm> = (features, dims) =>
  dims === 2 ? new nn.BatchNorm1d(features) : new nn.BatchNorm2d(features);

/**
 * LeNet with normalisation after every convolution and hidden linear layer (Dive into Deep Learning, "Batch
 * Normalization"): 44,878 parameters.
 *
 * [1, 28, 28] -> conv [6, 24, 24] -> pool [6, 12, 12] -> conv [16, 8, 8] -> pool [16, 4, 4] -> 256 -> 120 -> 84 -> 10
 */
export function normalizedLeNet<M extends nn.Module>(norm: MakeNorm<M>) {
  return new nn.Sequential(
    new nn.Conv2d(1, 6, 5),
    norm(6, 4),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Conv2d(6, 16, 5),
    norm(16, 4),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Flatten(),
    new nn.Linear(256, 120),
    norm(120, 2),
    new nn.Sigmoid(),
    new nn.Linear(120, 84),
    norm(84, 2),
    new nn.Sigmoid(),
    new nn.Linear(84, 10),
  );
}

/** {@link normalizedLeNet} with the batch normalisation of the library. */
export function batchNormLeNet() {
  return normalizedLeNet(libraryNorm);
}

/** LeNet as the book has it (LeCun et al., 1998, with sigmoid and average pooling): 61,706 parameters. */
export function leNet(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv2d(1, 6, 5, { padding: 2 }),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Conv2d(6, 16, 5),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Flatten(),
    new nn.Linear(400, 120),
    new nn.Sigmoid(),
    new nn.Linear(120, 84),
    new nn.Sigmoid(),
    new nn.Linear(84, 10),
  );
}

export const models = { 'bn-lenet': batchNormLeNet, lenet: leNet } as const;
export type ModelName = keyof typeof models;

/** Gives the weights of convolutions and linear layers Xavier's start, as the book does; all else stays as it is. */
export function startWithXavier<M extends nn.Module>(model: M): M {
  return model.apply((m) => {
    if (m instanceof nn.Conv2d || m instanceof nn.Linear) nn.init.xavierUniform_(m.weight);
  });
}

/** A fresh network with Xavier weights. */
export function makeModel(name: ModelName): nn.Sequential {
  return startWithXavier<nn.Sequential>(models[name]());
}
