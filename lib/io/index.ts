/** Files of tensors. */
export { loadSafetensors, saveSafetensors, type LoadedSafetensors } from './state-dict';
