/** `npm run bench -- <suite>`, see README.md beside this file. */
import { main } from './main';

void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
