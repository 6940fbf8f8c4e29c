const lwc = require('@salesforce/eslint-config-lwc');
const jest = require('eslint-plugin-jest');

const only = (files) => (config) => ({ ...config, files });

module.exports = [
    { linterOptions: { reportUnusedDisableDirectives: 'error' } },
    ...lwc.configs.recommended.map(only(['force-app/**/*.js', 'tests/**/*.js'])),
    only(['**/__tests__/**'])(jest.configs['flat/recommended'])
];
