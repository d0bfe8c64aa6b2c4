/**
 * Reverse-mode differentiation: walks the graph that operations recorded (`graph.ts`). Nodes are numbered as they are
 * made; inputs are always older than outputs, so walking the reachable nodes from the highest number down is a
 * topological order.
 *
 * Memory: gradients of intermediates belong to the engine and go back to the free list as soon as they were used;
 * the closures, and with them all saved tensors, are dropped as the walk passes (unless retainGraph).
 */
import { GraphError, ShapeError } from '../errors';
import { checkOptions, formatShape, readList, sameShape, shapeError } from '../shape';
import { outsideFrame, popFrame, pushFrame, type Frame, type Storage } from '../tensor/storage';
import { Tensor, expectTensor } from '../tensor/tensor';
import { isGradEnabled, noGrad } from './grad-mode';
import { Node, type GradientHook } from './graph';

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

/** Gradients in flight: how many pending slots refer to each storage of the pass. Others are not its to count. */
class Pending {
  constructor(private readonly frame: Frame) {}

  hold({ storage }: Tensor): void {
    if (storage.frame === this.frame) storage.pending++;
  }

  /** True if one slot alone refers to `t`, and `t` is the whole of memory that the engine made: it may be edited. */
  isSole(t: Tensor): boolean {
    const { storage } = t;
    return (
      storage.frame === this.frame && storage.pending === 1 && storage.length === t.numel && t.isContiguous
    );
  }

  drop({ storage }: Tensor): void {
    if (storage.frame === this.frame && --storage.pending <= 0) storage.release();
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
function releaseTemporaries(frame: Frame, from: number): void {
  let keep = from;
  for (let i = from; i < frame.made.length; i++) {
    const storage = frame.made[i];
    if (storage.frame !== frame) continue;
    if (storage.pending > 0) frame.made[keep++] = storage;
    else storage.release();
  }
  while (frame.made.length > keep) frame.made.pop(); // setting the length takes longer
}

export interface BackwardOptions {
  /** Keep the graph for a further backward call. Default false. */
  readonly retainGraph?: boolean;
}

export interface GradOptions extends BackwardOptions {
  /** Of the output, in its shape; may be omitted for a single element, where it is 1. */
  readonly gradient?: Tensor;
}

function checkRoot(op: string, root: Tensor, gradient: Tensor | undefined): void {
  if (!root.requiresGrad) {
    throw new GraphError('ERR_NO_GRAD', {
      op,
      argument: 'tensor',
      expected: 'must be the result of recorded operations on tensors that require gradients',
      received: `shape ${formatShape(root.shape)}${isGradEnabled() ? '' : ' inside noGrad'}`,
    });
  }
  if (gradient === undefined) {
    if (root.numel === 1) return;
    throw new ShapeError({
      op,
      argument: 'gradient',
      expected: 'must be given unless the tensor has exactly one element',
      received: `shape ${formatShape(root.shape)}`,
    });
  }
  if (!sameShape(expectTensor(op, 'gradient', gradient).shape, root.shape)) {
    throw shapeError(op, 'gradient', `must have shape ${formatShape(root.shape)}`, gradient.shape);
  }
}

/** Walks the graph from `root`; `result` is asked before the memory that the walk made is given back. */
function walk<T>(
  root: Tensor,
  { gradient, retainGraph = false }: GradOptions,
  targets: Targets | null,
  result: (survivors: Set<Storage>) => T,
): T {
  return noGrad(() => {
    const frame = pushFrame();
    const pass = new Pass(frame, retainGraph, targets);
    const survivors = new Set<Storage>();
    try {
      pass.run(root, gradient ?? engineOps().ones(root));
      return result(survivors);
    } finally {
      pass.end();
      popFrame(frame, survivors);
    }
  });
}

/**
 * The gradients of `output` with respect to `inputs`, which may also be intermediates: returned, not added to `grad`.
 * Only what they need is computed. As in PyTorch's `torch.autograd.grad`, results are not copied: they may share memory
 * with one another and with `options.gradient`, so `clone()` one before editing it.
 *
 * @returns one gradient per input, null where the output does not depend on it
 * @throws as {@link backward}; GraphError for an input that requires no gradient
 *
 * @example
 * const [gx, gw] = grad(F.conv2d(x, w), [x, w], { gradient: dy });
 */
export function grad(
  output: Tensor,
  inputs: readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  checkOptions('grad', options);
  checkRoot('grad', expectTensor('grad', 'output', output), options.gradient);
  const targets = new Map<Node | Tensor, Slot>();
  const slots = readList('grad', 'inputs', inputs, 'tensors').map((t, i) => {
    if (!expectTensor('grad', `inputs[${i}]`, t).requiresGrad) {
      throw new GraphError('ERR_NO_GRAD', {
        op: 'grad',
        argument: `inputs[${i}]`,
        expected: 'must require gradients',
        received: `a tensor of shape ${formatShape(t.shape)} that does not`,
      });
    }
    const key = t.gradFn ?? t;
    const slot = targets.get(key) ?? { grad: null };
    targets.set(key, slot);
    return slot;
  });
  return walk(output, options, targets, (survivors) =>
    slots.map((slot) => {
      if (slot.grad !== null) survivors.add(slot.grad.storage);
      return slot.grad;
    }),
  );
}

/**
 * Computes the gradients of `root` with respect to every leaf that requires one and adds them to the leaves' `grad`.
 *
 * @param gradient of the same shape as `root`; may be omitted for a single element, where it is 1
 * @throws GraphError ERR_NO_GRAD if nothing was recorded, ERR_GRAPH_FREED on a second call without `retainGraph`
 */
export function backward(root: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  checkOptions('backward', options);
  checkRoot('backward', root, gradient);
  walk(root, gradient === undefined ? options : { ...options, gradient }, null, () => undefined);
}

/** Where the gradients of some leaves and intermediates are gathered. */
type Targets = ReadonlyMap<Node | Tensor, Slot>;

/** Nodes that are targets, or have one among what they came from; `order` has results first. */
function leadingTo(targets: Targets, order: readonly Node[]): ReadonlySet<Node> {
  const needed = new Set<Node>();
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    const leads = (edge: Node | Tensor | null): boolean =>
      edge !== null && (targets.has(edge) || (edge instanceof Node && needed.has(edge)));
    if (targets.has(node) || node.edges.some(leads)) needed.add(node);
  }
  return needed;
}

/** One walk through a graph. */
class Pass {
  private readonly pending: Pending;
  private order: readonly Node[] = [];
  /** Leaves with hooks: those want the whole gradient, so it is gathered until the walk is over. */
  private readonly hookedLeaves = new Map<Tensor, Slot>();
  /** Nodes to walk through; null for all. */
  private needed: ReadonlySet<Node> | null = null;

  constructor(
    private readonly frame: Frame,
    private readonly retainGraph: boolean,
    private readonly targets: Targets | null,
  ) {
    this.pending = new Pending(frame);
  }

  run(root: Tensor, seed: Tensor): void {
    this.pending.hold(seed);
    if (root.gradFn === null) {
      this.toLeaf(root, seed);
    } else {
      const order = reachable(root.gradFn);
      const needed = this.targets === null ? null : leadingTo(this.targets, order);
      this.order = needed === null ? order : order.filter((node) => needed.has(node));
      this.needed = needed;
      root.gradFn.grad = seed;
      for (const node of this.order) this.step(node);
      root.gradFn.grad = null;
    }
    for (const [leaf, slot] of this.targets ?? []) {
      if (leaf instanceof Tensor && slot.grad !== null) slot.grad = this.hooked(leaf.hooks ?? [], slot.grad);
    }
    for (const [leaf, { grad }] of this.hookedLeaves) {
      if (grad !== null) accumulateLeaf(leaf, this.hooked(leaf.hooks ?? [], grad), this.pending);
    }
  }

  end(): void {
    for (const node of this.order) node.grad = null;
  }

  /** Whether the gradient of what an edge leads to is asked for. */
  private wants(edge: Node | Tensor | null): boolean {
    if (edge === null || this.targets === null || this.needed === null) return edge !== null;
    return edge instanceof Node ? this.needed.has(edge) : this.targets.has(edge);
  }

  private toLeaf(leaf: Tensor, grad: Tensor): void {
    if (this.targets !== null) {
      const target = this.targets.get(leaf);
      if (target === undefined) this.pending.drop(grad);
      else accumulate(target, grad, this.pending);
      return;
    }
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
    if (node.retained !== null && this.targets === null) this.retain(node.retained, grad);
    const target = this.targets?.get(node);
    if (target !== undefined) {
      pending.hold(grad);
      target.grad = grad;
    }
    const wanted: boolean[] = [];
    let some = false;
    for (const edge of node.edges) {
      const wants = this.wants(edge);
      wanted.push(wants);
      some ||= wants;
    }
    if (!some) {
      pending.drop(grad);
      return;
    }
    const from = frame.made.length;
    const gradients = node.apply(grad, wanted, pending.isSole(grad));
    for (const g of gradients) if (g !== null) pending.hold(g);
    for (let i = 0; i < node.edges.length; i++) {
      const edge = node.edges[i];
      const g = gradients[i];
      if (g == null) continue;
      if (edge === null || !wanted[i]) pending.drop(g);
      else if (edge instanceof Node) accumulate(edge, g, pending);
      else this.toLeaf(edge, g);
    }
    pending.drop(grad);
    releaseTemporaries(frame, from);
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
