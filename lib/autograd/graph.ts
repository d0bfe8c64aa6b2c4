/**
 * The recorded graph. An operation that needs gradients leaves a Node: edges to the nodes (or leaves) its inputs came
 * from, and a closure that turns the gradient of the output into gradients of the inputs. `engine.ts` walks it.
 */
import { GraphError } from '../errors';
import { formatShape } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { isGradEnabled } from './grad-mode';

/**
 * Gradients for the inputs, in order; null where there is none. `wanted[i]` tells if input i needs one, `spare` that
 * nobody else reads `grad`, which is contiguous then: it may be overwritten and returned.
 */
export type Backward = (
  grad: Tensor,
  wanted: readonly boolean[],
  spare: boolean,
) => readonly (Tensor | null)[];

/** Called with a gradient; what it returns, if anything, takes its place. */
export type GradientHook = ((grad: Tensor) => Tensor | null | undefined) | ((grad: Tensor) => void);

let nextSequence = 0;

/** One recorded operation. */
export class Node {
  readonly sequence = nextSequence++;
  /** Gradient gathered for the output while a backward pass runs. */
  grad: Tensor | null = null;
  /** Called with the finished gradient of the output; may replace it. */
  hooks: GradientHook[] | null = null;
  /** The output, when its gradient is to be kept (retainGrad). */
  retained: Tensor | null = null;
  private savedVersions: readonly number[];

  constructor(
    readonly op: string,
    readonly edges: readonly (Node | Tensor | null)[],
    readonly shape: readonly number[],
    private saved: readonly Tensor[],
    private backward: Backward | null,
    private owned: readonly Tensor[],
  ) {
    this.savedVersions = saved.map((t) => t.storage.version);
  }

  /** Gradients of the `wanted` inputs for `grad`, after checking that the saved tensors are as they were. */
  apply(grad: Tensor, wanted: readonly boolean[], spare: boolean): readonly (Tensor | null)[] {
    if (this.backward === null) {
      throw new GraphError('ERR_GRAPH_FREED', {
        op: 'backward',
        argument: `graph of ${this.op}`,
        expected: 'was freed by an earlier backward',
        received: '',
        hint: 'pass { retainGraph: true } to the first call if you need two',
      });
    }
    for (let i = 0; i < this.saved.length; i++) {
      if (this.saved[i].storage.version !== this.savedVersions[i]) {
        throw new GraphError('ERR_MODIFIED_IN_PLACE', {
          op: 'backward',
          argument: `a tensor of shape ${formatShape(this.saved[i].shape)} saved by ${this.op}`,
          expected: `must be at version ${this.savedVersions[i]}`,
          received: `version ${this.saved[i].storage.version}`,
          hint: 'it was edited in place after it was used; edit a clone(), or edit earlier',
        });
      }
    }
    return this.backward(grad, wanted, spare);
  }

  /** Lets go of everything the node kept for backward. */
  release(): void {
    this.backward = null;
    this.saved = [];
    this.savedVersions = [];
    for (const t of this.owned) t.storage.release();
    this.owned = [];
  }
}

/** True if an operation on these inputs has to be recorded. */
export function needsGrad(...inputs: readonly (Tensor | null | undefined)[]): boolean {
  if (!isGradEnabled()) return false;
  for (const t of inputs) if (t != null && t.requiresGrad) return true;
  return false;
}

function edgeOf(t: Tensor | null): Node | Tensor | null {
  if (t === null) return null;
  if (t.gradFn !== null) {
    if (t.viewVersion >= 0 && t.viewVersion !== t.storage.version) {
      throw new GraphError('ERR_MODIFIED_IN_PLACE', {
        op: t.gradFn.op,
        argument: `a view of shape ${formatShape(t.shape)}`,
        expected: 'was taken before its base was edited in place',
        received: '',
        hint: 'take the view again after the edit',
      });
    }
    return t.gradFn;
  }
  return t.requiresGrad ? t : null;
}

/** What an operation keeps for its backward pass. */
export interface Recording {
  /** Tensors the closure reads: must not be edited in place before backward. */
  readonly saved?: readonly Tensor[];
  /** Tensors made only for backward: their memory is reused as soon as the node lets go of them. */
  readonly owned?: readonly Tensor[];
}

/**
 * Attaches a node to `output` if gradients are on and an input needs one. Returns `output`.
 *
 * @param backward closure from the output's gradient to one gradient (or null) per input
 */
export function record(
  op: string,
  output: Tensor,
  inputs: readonly (Tensor | null)[],
  backward: Backward,
  keep: Recording = {},
): Tensor {
  if (!isGradEnabled()) return output;
  const edges = inputs.map(edgeOf);
  if (edges.every((e) => e === null)) return output;
  output.gradFn = new Node(op, edges, output.shape, keep.saved ?? [], backward, keep.owned ?? []);
  if (inputs[0]?.storage === output.storage) output.viewVersion = output.storage.version;
  return output;
}
