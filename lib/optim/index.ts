/** Optimizers and learning-rate schedules, exported by the package as `optim`. */
export { Adagrad, type AdagradOptions } from './adagrad';
export { Adam, AdamW, type AdamOptions } from './adam';
export { clipGradNorm_, clipGradValue_, type ClipGradNormOptions } from './clip-grad';
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
export { OneCycleLR, type OneCycleLROptions } from './one-cycle-lr';
export { Optimizer, type ZeroGradOptions } from './optimizer';
export type { CommonOptions, ParamGroup, ParamGroupInput, ParamsInput } from './param-group';
export {
  ReduceLROnPlateau,
  type ReduceLROnPlateauOptions,
  type ReduceLROnPlateauStateDict,
} from './reduce-lr-on-plateau';
export { RMSprop, type RMSpropOptions } from './rmsprop';
export { SequentialLR, type SequentialLRStateDict } from './sequential-lr';
export { SGD, type SGDOptions } from './sgd';
export type { OptimizerStateDict, OptionValue, SavedGroup } from './state-dict';
