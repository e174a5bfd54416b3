import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { sha256, toHex, utf8 } from "../../shared/crypto/bytes.ts"
import { modelFeatures } from "../../shared/domain/scoring/features.ts"
import { evaluateGates } from "../../shared/scoring/gates.ts"
import { readArtefact } from "../../workers/scoring/serving.ts"
import { MODEL_FILE } from "./model.ts"

test("the demo's model can be served, and passes the gates on its own metrics", async () => {
  const text = await readFile(MODEL_FILE, "utf8")
  const { artefact } = await readArtefact(text, toHex(await sha256(utf8(text))))
  const known = new Set(modelFeatures.map(({ name }) => name))
  const unknownFeatures = artefact.features.map(({ name }) => name).filter((name) => !known.has(name))
  const { metrics } = artefact.training
  expect(evaluateGates({ metrics, unknownFeatures, dataQuality: null, p95Ms: null, isStrict: false }).isPassed).toBe(
    true,
  )
})
