/** The two networks of the demo. Input [n, 1, 28, 28], output [n, 10]. */
import { nn } from 'laminae';

/**
 * LeNet with batch normalisation (Dive into Deep Learning, "Batch Normalization", concise form): 44,878 parameters.
 *
 * [1, 28, 28] -> conv [6, 24, 24] -> pool [6, 12, 12] -> conv [16, 8, 8] -> pool [16, 4, 4] -> 256 -> 120 -> 84 -> 10
 */
export function batchNormLeNet(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv2d(1, 6, 5),
    new nn.BatchNorm2d(6),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Conv2d(6, 16, 5),
    new nn.BatchNorm2d(16),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Flatten(),
    new nn.Linear(256, 120),
    new nn.BatchNorm1d(120),
    new nn.Sigmoid(),
    new nn.Linear(120, 84),
    new nn.BatchNorm1d(84),
    new nn.Sigmoid(),
    new nn.Linear(84, 10),
  );
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

/** A fresh network with Xavier weights in convolutions and linear layers, as the book starts them. */
export function makeModel(name: ModelName): nn.Sequential {
  const model = models[name]();
  model.apply((m) => {
    if (m instanceof nn.Conv2d || m instanceof nn.Linear) nn.init.xavierUniform_(m.weight);
  });
  return model;
}
