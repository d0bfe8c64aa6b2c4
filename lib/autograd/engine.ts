/**
 * Reverse-mode differentiation.
 *
 * An operation that needs gradients leaves a Node: edges to the nodes (or leaves) its inputs came from, and a closure
 * that turns the gradient of the output into gradients of the inputs. Nodes are numbered as they are made; inputs are
 * always older than outputs, so walking the reachable nodes from the highest number down is a topological order.
 *
 * Memory: gradients of intermediates belong to the engine and go back to the free list as soon as they were used;
 * the closures, and with them all saved tensors, are dropped as the walk passes (unless retainGraph).
 */
import { GraphError, ShapeError } from '../errors';
import { formatShape, sameShape } from '../shape';
import { outsideFrame, popFrame, pushFrame, type Frame, type Storage } from '../tensor/storage';
import { Tensor, expectTensor } from '../tensor/tensor';
import { isGradEnabled, noGrad } from './grad-mode';

/** Gradients for the inputs, in order; null where there is none. `wanted[i]` tells if input i needs one. */
export type Backward = (grad: Tensor, wanted: readonly boolean[]) => readonly (Tensor | null)[];

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

  /** Gradients of the inputs for `grad`, after checking that the saved tensors are as they were. */
  apply(grad: Tensor): readonly (Tensor | null)[] {
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
    return this.backward(
      grad,
      this.edges.map((e) => e !== null),
    );
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

function reachable(root: Node): Node[] {
  const seen = new Set<Node>([root]);
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const edge of node.edges) {
      if (edge instanceof Node && !seen.has(edge)) {
        seen.add(edge);
        stack.push(edge);
      }
    }
  }
  return [...seen].sort((a, b) => b.sequence - a.sequence);
}

/** Gradients in flight: how many pending slots refer to each storage. */
class Pending {
  private readonly counts = new Map<Storage, number>();
  constructor(private readonly frame: Frame) {}

  hold(t: Tensor): void {
    this.counts.set(t.storage, (this.counts.get(t.storage) ?? 0) + 1);
  }

  /** True if one slot alone refers to `t`, and `t` is the whole of memory that the engine made: it may be edited. */
  isSole(t: Tensor): boolean {
    const { storage } = t;
    return (
      this.counts.get(storage) === 1 &&
      storage.frame === this.frame &&
      storage.length === t.numel &&
      t.isContiguous
    );
  }

  drop(t: Tensor): void {
    const left = (this.counts.get(t.storage) ?? 1) - 1;
    if (left > 0) {
      this.counts.set(t.storage, left);
      return;
    }
    this.counts.delete(t.storage);
    if (t.storage.frame === this.frame) t.storage.release();
  }

  isPending(storage: Storage): boolean {
    return this.counts.has(storage);
  }
}

/** Arithmetic the engine needs; set by the functional layer, which stands above this file. */
export interface EngineOps {
  /** into += value, in place. */
  addInto(into: Tensor, value: Tensor): void;
  /** A fresh contiguous copy. */
  clone(value: Tensor): Tensor;
  ones(like: Tensor): Tensor;
}

let ops: EngineOps | null = null;

export function setEngineOps(value: EngineOps): void {
  ops = value;
}

function engineOps(): EngineOps {
  if (ops === null) throw new Error('autograd: the functional layer is not loaded');
  return ops;
}

function accumulateLeaf(leaf: Tensor, grad: Tensor, pending: Pending): void {
  const existing = leaf.peekGrad();
  if (existing !== null) {
    engineOps().addInto(existing, grad);
    pending.drop(grad);
    return;
  }
  if (pending.isSole(grad)) {
    leaf.adoptGrad(grad); // keep() takes the storage out of the engine's frame, so drop() does not release it
    pending.drop(grad);
  } else {
    leaf.adoptGrad(engineOps().clone(grad));
    pending.drop(grad);
  }
}

/** Where gradients of one tensor add up before anything is done with them. */
interface Slot {
  grad: Tensor | null;
}

function accumulate(slot: Slot, grad: Tensor, pending: Pending): void {
  if (slot.grad === null) {
    slot.grad = grad;
    return;
  }
  if (pending.isSole(slot.grad)) {
    engineOps().addInto(slot.grad, grad);
    pending.drop(grad);
    return;
  }
  const sum = engineOps().clone(slot.grad);
  engineOps().addInto(sum, grad);
  pending.hold(sum);
  pending.drop(slot.grad);
  pending.drop(grad);
  slot.grad = sum;
}

/** Releases what a backward closure made beside the gradients it returned. */
function releaseTemporaries(frame: Frame, from: number, pending: Pending): void {
  let keep = from;
  for (let i = from; i < frame.made.length; i++) {
    const storage = frame.made[i];
    if (storage.frame !== frame) continue;
    if (pending.isPending(storage)) frame.made[keep++] = storage;
    else storage.release();
  }
  frame.made.length = keep;
}

export interface BackwardOptions {
  /** Keep the graph for a further backward call. Default false. */
  readonly retainGraph?: boolean;
}

/**
 * Computes the gradients of `root` with respect to every leaf that requires one and adds them to the leaves' `grad`.
 *
 * @param gradient of the same shape as `root`; may be omitted for a single element, where it is 1
 * @throws GraphError ERR_NO_GRAD if nothing was recorded, ERR_GRAPH_FREED on a second call without `retainGraph`
 */
export function backward(root: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  if (!root.requiresGrad) {
    throw new GraphError('ERR_NO_GRAD', {
      op: 'backward',
      argument: 'tensor',
      expected: 'must be the result of recorded operations on tensors that require gradients',
      received: `shape ${formatShape(root.shape)}${isGradEnabled() ? '' : ' inside noGrad'}`,
    });
  }
  if (gradient === undefined && root.numel !== 1) {
    throw new ShapeError({
      op: 'backward',
      argument: 'gradient',
      expected: 'must be given unless the tensor has exactly one element',
      received: `shape ${formatShape(root.shape)}`,
    });
  }
  if (gradient !== undefined) expectTensor('backward', 'gradient', gradient);
  if (gradient !== undefined && !sameShape(gradient.shape, root.shape)) {
    throw new ShapeError({
      op: 'backward',
      argument: 'gradient',
      expected: `must have shape ${formatShape(root.shape)}`,
      received: formatShape(gradient.shape),
    });
  }
  noGrad(() => {
    const frame = pushFrame();
    const pass = new Pass(frame, options.retainGraph === true);
    try {
      pass.run(root, gradient ?? engineOps().ones(root));
    } finally {
      pass.end();
      popFrame(frame, new Set());
    }
  });
}

/** One walk through a graph. */
class Pass {
  private readonly pending: Pending;
  private order: readonly Node[] = [];
  /** Leaves with hooks: those want the whole gradient, so it is gathered until the walk is over. */
  private readonly hookedLeaves = new Map<Tensor, Slot>();

  constructor(
    private readonly frame: Frame,
    private readonly retainGraph: boolean,
  ) {
    this.pending = new Pending(frame);
  }

  run(root: Tensor, seed: Tensor): void {
    this.pending.hold(seed);
    if (root.gradFn === null) {
      this.toLeaf(root, seed);
    } else {
      this.order = reachable(root.gradFn);
      root.gradFn.grad = seed;
      for (const node of this.order) this.step(node);
    }
    for (const [leaf, { grad }] of this.hookedLeaves) {
      if (grad !== null) accumulateLeaf(leaf, this.hooked(leaf.hooks ?? [], grad), this.pending);
    }
  }

  end(): void {
    for (const node of this.order) node.grad = null;
  }

  private toLeaf(leaf: Tensor, grad: Tensor): void {
    if (leaf.hooks === null || leaf.hooks.length === 0) {
      accumulateLeaf(leaf, grad, this.pending);
      return;
    }
    let slot = this.hookedLeaves.get(leaf);
    if (slot === undefined) this.hookedLeaves.set(leaf, (slot = { grad: null }));
    accumulate(slot, grad, this.pending);
  }

  private step(node: Node): void {
    const { frame, pending } = this;
    if (node.grad === null) return;
    const grad = node.hooks === null ? node.grad : this.hooked(node.hooks, node.grad);
    node.grad = null;
    if (node.retained !== null) this.retain(node.retained, grad);
    const from = frame.made.length;
    const gradients = node.apply(grad);
    for (const g of gradients) if (g !== null) pending.hold(g);
    for (let i = 0; i < node.edges.length; i++) {
      const edge = node.edges[i];
      const g = gradients[i];
      if (g == null) continue;
      if (edge === null) pending.drop(g);
      else if (edge instanceof Node) accumulate(edge, g, pending);
      else this.toLeaf(edge, g);
    }
    pending.drop(grad);
    releaseTemporaries(frame, from, pending);
    if (!this.retainGraph) node.release();
  }

  /** What hooks make of a gradient. They are the user's code: they may hold on to it and to whatever they make. */
  private hooked(hooks: readonly GradientHook[], first: Tensor): Tensor {
    let grad = first;
    for (const hook of [...hooks]) {
      const shown: Tensor = grad;
      shown.storage.keep();
      const replaced: unknown = outsideFrame(this.frame, () => hook(shown));
      if (replaced === undefined || replaced === null) continue;
      if (
        !(replaced instanceof Tensor) ||
        replaced.dtype !== grad.dtype ||
        !sameShape(replaced.shape, grad.shape)
      ) {
        throw new ShapeError({
          op: 'backward',
          argument: 'the result of a hook',
          expected: `must be a ${grad.dtype} tensor of shape ${formatShape(grad.shape)}`,
          received:
            replaced instanceof Tensor ? `${replaced.dtype} ${formatShape(replaced.shape)}` : typeof replaced,
        });
      }
      this.pending.hold(replaced);
      this.pending.drop(grad);
      grad = replaced;
    }
    return grad;
  }

  /** Adds to the gradient of a tensor that is not a leaf. */
  private retain(t: Tensor, grad: Tensor): void {
    const existing = t.peekGrad();
    if (existing !== null) engineOps().addInto(existing, grad);
    else t.adoptGrad(outsideFrame(this.frame, () => engineOps().clone(grad)));
  }
}
