// What all optimizers share: saved state.
import { describe, expect, test } from '@jest/globals';
import { ones, optim, tensor } from '../../lib';
import type { Tensor } from '../../lib';
import { StateDictError } from '../../lib/errors';
import { param } from '../support/param';
import { thrownBy } from '../support/thrown-by';

describe('saved state', () => {
  function trained(): { params: Tensor[]; optimizer: optim.Adam } {
    const params = [param([1, 2], [0.5, 1]), param([[3]], [[2]])];
    const optimizer = new optim.Adam([{ params: [params[0]], lr: 0.5 }, { params: [params[1]] }], {
      lr: 0.25,
    });
    optimizer.step();
    return { params, optimizer };
  }

  test("has PyTorch's form", () => {
    const { params, optimizer } = trained();
    const dict = optimizer.stateDict();
    expect(Object.keys(dict.state)).toEqual(['0', '1']);
    expect(Object.keys(dict.state[1])).toEqual(['step', 'exp_avg', 'exp_avg_sq']);
    expect(dict.state[0].step).toBe(1);
    expect(dict.param_groups).toEqual([
      {
        lr: 0.5,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        amsgrad: false,
        maximize: false,
        params: [0],
      },
      {
        lr: 0.25,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        amsgrad: false,
        maximize: false,
        params: [1],
      },
    ]);
    const sgd = new optim.SGD(params, { momentum: 0.9 });
    expect(sgd.stateDict().state).toEqual({});
    sgd.step();
    expect(Object.keys(sgd.stateDict().state[0])).toEqual(['momentum_buffer']);
  });

  test('goes on as if never interrupted', () => {
    const first = trained();
    const copies = first.params.map((p) => tensor(p.detach(), { requiresGrad: true }));
    const second = new optim.Adam([{ params: [copies[0]] }, { params: [copies[1]] }]);
    second.loadStateDict(first.optimizer.stateDict());
    expect(second.paramGroups.map((g) => g.lr)).toEqual([0.5, 0.25]);
    for (const list of [first.params, copies]) {
      list[0].grad = tensor([-1, 0.25]);
      list[1].grad = tensor([[1]]);
    }
    first.optimizer.step();
    second.step();
    expect(copies.map((p) => p.toArray())).toEqual(first.params.map((p) => p.toArray()));
    // the tensors were copied: the first optimizer's further steps do not show in the second
    expect(second.stateDict().state[0].exp_avg).not.toBe(first.optimizer.stateDict().state[0].exp_avg);
  });

  test('takes steps saved as tensors and ignores options it does not know', () => {
    const w = param([1, 2], [1, 1]);
    const optimizer = new optim.Adam([w]);
    optimizer.loadStateDict({
      state: { 0: { step: tensor(7), exp_avg: ones([2]), exp_avg_sq: ones([2]) } },
      param_groups: [{ lr: 0.125, foreach: null, capturable: false, params: [0] }],
    });
    expect(optimizer.paramGroups[0].lr).toBe(0.125);
    expect('foreach' in optimizer.paramGroups[0]).toBe(false);
    optimizer.step();
    expect(optimizer.stateDict().state[0].step).toBe(8);
  });

  test('that does not fit is refused and changes nothing', () => {
    const { optimizer } = trained();
    const before = optimizer.stateDict();
    const lr = optimizer.paramGroups[0].lr;
    const one = before.param_groups[0];
    const load = (dict: optim.OptimizerStateDict): StateDictError =>
      thrownBy(() => optimizer.loadStateDict(dict), StateDictError);

    expect(load({ state: {}, param_groups: [one] }).message).toBe(
      'Adam.loadStateDict: param_groups must be 2 as in the optimizer, got 1',
    );
    expect(load({ state: {}, param_groups: [{ ...one, params: [0, 1] }, one] }).message).toBe(
      'Adam.loadStateDict: param_groups[0].params must be 1 as in the optimizer, got 2',
    );
    const wrong = load({
      state: { 0: { step: 1, exp_avg: ones([3]) } },
      param_groups: [{ ...one, lr: 99 }, before.param_groups[1]],
    });
    expect(wrong.message).toBe('Adam.loadStateDict: state[0].exp_avg must have shape [2], got [3]');
    expect(wrong.mismatched).toEqual(['state[0].exp_avg']);
    expect(() =>
      optimizer.loadStateDict({ state: {}, param_groups: [{ ...one, lr: -1 }, before.param_groups[1]] }),
    ).toThrow('Adam: lr must be a finite number >= 0, got -1');
    expect(load(JSON.parse('{}') as optim.OptimizerStateDict).message).toBe(
      'Adam.loadStateDict: dict must be { state, param_groups }, got Object',
    );

    expect(optimizer.paramGroups[0].lr).toBe(lr);
    expect(optimizer.stateDict().state[0].exp_avg).toBe(before.state[0].exp_avg);
  });
});
