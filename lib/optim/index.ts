/** Optimizers and learning-rate schedules, exported by the package as `optim`. */
export { Adam, AdamW, type AdamOptions } from './adam';
export {
  CosineAnnealingLR,
  ExponentialLR,
  LinearLR,
  LRScheduler,
  MultiStepLR,
  StepLR,
  type LinearLROptions,
  type Schedulable,
  type ScheduledGroup,
  type SchedulerOptions,
  type SchedulerStateDict,
} from './lr-scheduler';
export { Optimizer, type ZeroGradOptions } from './optimizer';
export type { CommonOptions, ParamGroup, ParamGroupInput, ParamsInput } from './param-group';
export { SGD, type SGDOptions } from './sgd';
export type { OptimizerStateDict, OptionValue, SavedGroup } from './state-dict';
