import { embedding, type EmbeddingOptions } from '../functional/embedding';
import { checkOptions, integer } from '../shape';
import { Tensor } from '../tensor/tensor';
import { constant_, normal_ } from './init';
import { Module } from './module';
import { Parameter } from './parameter';

/**
 * A learnt table of vectors, looked up by number. Starts with normal numbers; the row `paddingIdx` starts as zeros and
 * gets no gradient.
 *
 * **Shape**: int32 [...] -> [..., embeddingDim]
 */
export class Embedding extends Module {
  /** [numEmbeddings, embeddingDim] */
  weight: Parameter;

  constructor(
    readonly numEmbeddings: number,
    readonly embeddingDim: number,
    readonly options: EmbeddingOptions = {},
  ) {
    super();
    integer('Embedding', 'numEmbeddings', numEmbeddings, 1);
    integer('Embedding', 'embeddingDim', embeddingDim, 1);
    const table = normal_(Tensor.empty([numEmbeddings, embeddingDim], 'float32'));
    checkOptions('Embedding', options);
    if (options.paddingIdx != null) {
      constant_(
        table.at(integer('Embedding', 'paddingIdx', options.paddingIdx, -numEmbeddings, numEmbeddings - 1)),
        0,
      );
    }
    this.weight = new Parameter(table);
  }

  override forward(input: Tensor): Tensor {
    return embedding(input, this.weight, this.options);
  }

  protected override extraRepr(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}`;
  }
}
