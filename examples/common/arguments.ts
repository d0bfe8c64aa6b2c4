/** Checks of command line values. */
import { InvalidArgumentError } from 'commander';

/** A parser that takes the integers `min`..`max`. */
export function integerArgument(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be an integer in ${min}..${max}.`);
    }
    return value;
  };
}
