/**
 * Plans of layers that were made before. A network calls its layers with the same shapes again and again, and what lies
 * between two native ops runs with cold caches: planning a convolution anew takes 10 us there, a pool 20.
 */
import type { Shape } from '../shape';

interface Entry<P> {
  readonly key: readonly unknown[];
  readonly plan: P;
}

const capacity = 256; // a power of two
/** Places that one key may have. */
const ways = 4;

/** Plans by what they were made from. */
export class Plans<P> {
  private readonly entries = new Array<Entry<P> | null>(capacity).fill(null);
  private nextWay = 0;

  /** The plan that was made of the same numbers and words, or else `make()`. */
  get(key: readonly unknown[], make: () => P): P {
    const first = firstPlace(key);
    if (first < 0) return make();
    let free = -1;
    for (let way = 0; way < ways; way++) {
      const place = (first + way) & (capacity - 1);
      const entry = this.entries[place];
      if (entry === null) free = place;
      else if (isSame(entry.key, key)) return entry.plan;
    }
    const plan = make();
    if (free < 0) free = (first + (this.nextWay++ % ways)) & (capacity - 1);
    this.entries[free] = { key, plan };
    return plan;
  }
}

/** `plan` with a shape of its own: a result shows it to the caller, who may be without types and edit it. */
export function withOwnShape<P extends { readonly shape: Shape }>(plan: P): P {
  return { ...plan, shape: [...plan.shape] };
}

/** Where to look first; -1 if the key holds an object, which may have been edited since. */
function firstPlace(key: readonly unknown[]): number {
  let hash = 0;
  for (const part of key) {
    if (typeof part === 'number') hash = Math.imul(hash ^ part, 0x9e3779b1) ^ (hash >>> 15);
    else if (typeof part === 'object' && part !== null) return -1;
  }
  return (hash >>> 8) & (capacity - 1);
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
