// Writes docs/layers.md.
import fs from 'node:fs';
import path from 'node:path';
import { layersTable } from '../test/support/layers-table';

fs.writeFileSync(path.join(__dirname, '..', 'docs', 'layers.md'), layersTable());
