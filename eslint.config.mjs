// Type-aware linting of all TypeScript, plain linting of the scripts. Disabling comments are ignored on purpose:
// a rule that does not fit is changed here, for everybody, with its reason.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Layers of lib/, lowest first: a folder imports values only from layers before its own. */
const layers = [['tensor'], ['autograd'], ['functional'], ['nn'], ['io'], ['optim', 'data']];

/** What plain scripts may use without importing it. */
const nodeGlobals = [
  ...['__dirname', '__filename', 'exports', 'module', 'require'],
  ...['Buffer', 'console', 'gc', 'performance', 'process', 'structuredClone', 'URL'],
  ...['clearInterval', 'clearTimeout', 'queueMicrotask', 'setImmediate', 'setInterval', 'setTimeout'],
];

const layerRules = layers.flatMap((names, level) =>
  names.map((name) => {
    const above = layers.slice(level + 1).flat();
    const beside = names.filter((other) => other !== name);
    const forbidden = [...above, ...beside];
    return {
      files: [`lib/${name}/**/*.ts`],
      rules: {
        '@typescript-eslint/no-restricted-imports': [
          'error',
          {
            patterns: [
              {
                regex: `^\\.\\./(${[...forbidden, 'index'].join('|')})(/|$)`,
                allowTypeImports: true,
                message: `lib/${name} may not look upwards: imports point one way only.`,
              },
            ],
          },
        ],
      },
    };
  }),
);

export default tseslint.config(
  { ignores: ['node_modules/', 'build/', 'dist/', 'out/', 'prebuilds/', 'coverage/'] },
  { linterOptions: { noInlineConfig: true } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.check.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      // As tsc does: a leading underscore says that a parameter or part is not wanted.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      // Shapes and sizes go into messages all the time.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Arguments are checked at run time although their types promise much: callers may write plain JavaScript.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `== null` stands for null or undefined.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of strings.' },
        { selector: 'ExportDefaultDeclaration', message: 'Use a named export.' },
        {
          selector: 'TSAsExpression > TSAsExpression > TSUnknownKeyword',
          message: '`as unknown as` hides a wrong type: mend the type.',
        },
      ],
    },
  },
  ...layerRules,
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
  {
    files: ['**/*.cjs', '**/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])),
    },
  },
);
