/** A kernel that keeps vectors on the stack in an innermost loop: how many operands, and the first of them. */
export interface Spill {
  readonly name: string;
  readonly count: number;
  readonly first: string;
}

export function findSpills(disassembly: string, wanted: RegExp): Spill[];
