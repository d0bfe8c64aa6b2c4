/** Classifies one test image with saved weights. */
import { F, loadSafetensors, noGrad, type data } from 'laminae';
import { makeModel, models, type ModelName } from '../common/models';
import { textArt } from './digits';

function isModelName(name: string | undefined): name is ModelName {
  return name !== undefined && Object.hasOwn(models, name);
}

/** The picture and the probability of every class, as text. */
export function predictText(
  file: string,
  test: data.ImageDataset,
  classNames: readonly string[],
  image: number,
): string {
  const { state, metadata } = loadSafetensors(file);
  const name = metadata.get('model');
  if (!isModelName(name)) {
    throw new RangeError(
      `predict: ${file} was not written by this demo: metadata "model" is ${name ?? 'missing'}`,
    );
  }
  const model = makeModel(name);
  model.loadStateDict(state);
  model.eval();
  const [x] = test.batch([image]);
  const probabilities = noGrad(() => F.softmax(model.forward(x), 1)).toTypedArray();
  const best = probabilities.indexOf(Math.max(...probabilities));
  const width = Math.max(...classNames.map((c) => c.length));
  const lines = classNames.map((c, i) => {
    const p = probabilities[i];
    const bar = '█'.repeat(Math.round(p * 40));
    return `${c.padStart(width)}  ${(p * 100).toFixed(2).padStart(6)} %  ${bar}${i === best ? ' <' : ''}`;
  });
  const label = classNames[test.label(image)];
  return [
    textArt(test.pixels(image), test.width, test.height),
    '',
    `test image ${image}: ${classNames[best]} (true class: ${label})`,
    ...lines,
  ].join('\n');
}
