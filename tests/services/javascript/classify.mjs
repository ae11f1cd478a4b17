// node classify.mjs FOLDER DTYPE: a JSON list of texts on standard input, a list of answers on standard output.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pipeline, env } from '@huggingface/transformers';

const [folder, dtype] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const classify = await pipeline('text-classification', basename(folder), { dtype });
const answers = [];
for (const text of JSON.parse(readFileSync(0, 'utf8'))) answers.push(await classify(text, { top_k: null }));
console.log(JSON.stringify(answers));
