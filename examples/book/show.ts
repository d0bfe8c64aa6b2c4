/** Output of the sections. */
import { inspect } from 'node:util';
import type { Tensor } from 'laminae';

export function heading(text: string): void {
  console.log(`\n${text}`);
}

/** A tensor under its name. */
export function show(name: string, value: Tensor): void {
  console.log(`${name}:\n${inspect(value)}`);
}

export function showShape(name: string, value: Tensor): void {
  console.log(`${name}: [${value.shape.join(', ')}]`);
}
