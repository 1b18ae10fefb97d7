// Prints what AWS's offline validator finds in CloudFormation templates, a JSON object a line.
//
//   node validate.mjs <directory with node_modules> <template>…
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const [modules, ...templates] = process.argv.slice(2)
const { RegoEngine, TemplateFile } = createRequire(resolve(modules) + '/')('@aws/cloudformation-validate')
const engine = new RegoEngine()
for (const template of templates) {
  for (const { severity, ruleId, message, startLine } of engine.validateStandard(new TemplateFile(template)).diagnostics) {
    if (['WARN', 'ERROR', 'FATAL'].includes(severity)) console.log(JSON.stringify({ template, line: startLine, ruleId, message }))
  }
}
engine.free()
