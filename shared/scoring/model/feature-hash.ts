import { sha256, utf8 } from "../../crypto/bytes.ts"
import type { ModelFeature } from "./artefact.ts"

/** SHA-256 in hex of the canonical JSON of the features: keys in alphabetical order, no spaces, the list in its order. */
export async function featureHash(features: readonly ModelFeature[]): Promise<string> {
  const canonical = features.map((feature) => {
    const { name, type } = feature
    return feature.type === "category" ? { levels: feature.levels, name, type } : { name, type }
  })
  const hash = await sha256(utf8(JSON.stringify(canonical)))
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
