/** Output of the sections. */
import type { Tensor } from 'laminae';

export function heading(text: string): void {
  console.log(`\n${text}`);
}

/** A tensor under its name. */
export function show(name: string, value: Tensor): void {
  console.log(`${name}:\n${String(value)}`);
}

export function showShape(name: string, value: Tensor): void {
  console.log(`${name}: [${value.shape.join(', ')}]`);
}
